import { type Cost, runBatch } from './batch.ts'
import type { Variant } from './scenario.ts'

/**
 * How many operations of each variant come before what is measured. V8 goes on compiling for about a
 * thousand transactions, and the more code there is, the longer it takes.
 */
const WARM_UP = 1_500
/**
 * Milliseconds. So short that what disturbs the machine hits all variants alike, and so long that the
 * first operations, on the caches of the variant before, do not decide.
 */
const BATCH = 15
const MOST_OPERATIONS = 50

/** How long to measure. */
export interface Pace {
  readonly seconds: number
  /** How many seconds to run before, at most. */
  readonly warmUp: number
  readonly fewestRounds: number
}

export interface Rounds {
  readonly operations: number
  /** For each variant its costs, round by round. */
  readonly costs: ReadonlyMap<string, readonly Cost[]>
}

/**
 * Runs the variants by turns, a small batch of each in a round. Every round begins with another
 * variant.
 */
export async function runRounds(
  variants: readonly Variant[],
  { seconds, fewestRounds }: Pace,
): Promise<Rounds> {
  const operations = await batchOf(variants)
  const costs = new Map<string, Cost[]>(variants.map(({ name }) => [name, []]))
  const end = performance.now() + seconds * 1_000
  for (let round = 0; round < fewestRounds || performance.now() < end; round++) {
    const first = round % variants.length
    for (const variant of [...variants.slice(first), ...variants.slice(0, first)]) {
      costs.get(variant.name)?.push(await runBatch(variant, operations))
    }
  }
  return { operations, costs }
}

/** Lets the code be compiled and the clients connect, for so many seconds at most. */
export async function warmUp(variants: readonly Variant[], seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1_000
  for (let count = 0; count < 1 || (count < WARM_UP && performance.now() < end); count++) {
    for (const variant of variants) await runBatch(variant, 1)
  }
}

/** How many operations make a batch. */
async function batchOf(variants: readonly Variant[]): Promise<number> {
  let wall = 0
  for (const variant of variants) wall += (await runBatch(variant, 1)).wall
  const operations = Math.round(BATCH / (wall / variants.length))
  return Math.min(Math.max(operations, 1), MOST_OPERATIONS)
}
