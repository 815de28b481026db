import type { Client } from 'pg'
import type { Share } from './bridge-at.ts'
import type { Cores } from './cores.ts'
import { type Field, openField, type PoolSizes } from './layers/field.ts'
import { deleteNotes } from './layers/schema.ts'
import { prove } from './proof.ts'
import type { DelayProxy } from './proxy/delay-proxy.ts'
import type { Link } from './proxy/link.ts'
import { type CellResult, cellResult } from './results.ts'
import { type Pace, runRounds, warmUp } from './rounds.ts'
import type { Scenario, Variant } from './scenario.ts'

const POOLS: PoolSizes = { stock: 5, shared: 5 }

/** The surroundings in which a scenario is measured. */
export interface Place {
  readonly links: readonly Link[]
  /** The link on which round trips are counted. */
  readonly counter: DelayProxy
  /** A separate connection, which sees committed rows only. */
  readonly observer: Client
  readonly cores: Cores
  /** Seconds for each scenario on each link. Loopback gets half as much again, as its differences are smaller. */
  readonly pace: Pace
  /** The bridge of another checkout, to compare with. */
  readonly shareBefore?: Share | undefined
  /** Limits by the names of the scenarios whose round trips they measure. */
  readonly protocolLimits: ReadonlyMap<string, number>
}

/** Proves a scenario, then measures it on each of its links. Returns the reason if it cannot be measured. */
export async function* measure(
  scenario: Scenario,
  { links, counter, observer, cores, pace, shareBefore, protocolLimits }: Place,
): AsyncGenerator<CellResult | { readonly skipped: string }> {
  const pools = scenario.pools ?? POOLS
  const onField = <T>(url: string, fn: (field: Field) => Promise<T>) =>
    withField(openField(url, pools, shareBefore), fn)
  const proved = await onField(counter.url, async (field) => {
    const variants = scenario.variants(field)
    if (typeof variants === 'string') return variants
    const proof = await prove(scenario, variants, counter, observer)
    // Before the warm-up, since a full collection would discard compiled code.
    globalThis.gc?.()
    await warmUp(variants, pace.warmUp / 4)
    return proof
  })
  if (typeof proved === 'string') {
    yield { skipped: proved }
    return
  }
  for (const link of links) {
    if (scenario.links !== undefined && !scenario.links.includes(link.name)) continue
    await deleteNotes(observer)
    const direct = isDirect(link)
    // Before the clients connect, since only new processes of the server inherit the core.
    cores.keepApart(direct)
    const seconds = direct ? pace.seconds * 1.5 : pace.seconds
    const rounds = await onField(link.url, async (field) => {
      const variants = scenario.variants(field) as readonly Variant[]
      // Compilation must not be measured. The warm-up uses the same pools, since V8 optimizes for the
      // objects that it has seen.
      await link.undelayed(() => warmUp(variants, direct ? pace.warmUp : pace.warmUp / 8))
      return runRounds(variants, { ...pace, seconds })
    })
    cores.keepApart(false)
    const limit = direct ? protocolLimits.get(scenario.name) : undefined
    yield cellResult(scenario, link, rounds, proved, limit)
  }
}

function isDirect({ name }: Link): boolean {
  return name === 'loopback'
}

async function withField<T>(field: Field, fn: (field: Field) => Promise<T>): Promise<T> {
  try {
    return await fn(field)
  } finally {
    await field.close()
  }
}
