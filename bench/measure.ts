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

/** Where a scenario is measured. */
export interface Place {
  readonly links: readonly Link[]
  /** The way on which the round trips are counted. */
  readonly counter: DelayProxy
  /** A connection of its own, which sees what is committed. */
  readonly observer: Client
  readonly cores: Cores
  /** For each scenario on each link; half as long again on loopback, where more is to be seen. */
  readonly pace: Pace
  /** From another checkout, to compare with. */
  readonly shareBefore?: Share | undefined
  /** By the names of the scenarios whose round trips they are. */
  readonly protocolLimits: ReadonlyMap<string, number>
}

/** Proves a scenario, then measures it on each of its links. Tells why not, where it can not be. */
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
    // before all is compiled: a full collection takes compiled code along
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
    // before the clients connect: it is the server's new processes that are kept apart
    cores.keepApart(direct)
    const seconds = direct ? pace.seconds * 1.5 : pace.seconds
    const rounds = await onField(link.url, async (field) => {
      const variants = scenario.variants(field) as readonly Variant[]
      // What is compiled while it is measured tells of the compiler. On the same pools: V8 compiles
      // for the objects that it has seen.
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
