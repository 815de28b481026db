import { type Cost, runBatch } from './batch.ts'
import type { Variant } from './scenario.ts'

const WARM_UP = 3_000
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
  { seconds, warmUp: warmth, fewestRounds }: Pace,
): Promise<Rounds> {
  // what is compiled for one link is compiled for all: here only the clients have to connect
  const operations = await warmUp(variants, (warmth * 1_000) / 10)
  globalThis.gc?.()
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

/** Lets the code be compiled and the clients connect. Gives how many operations make a batch. */
export async function warmUp(variants: readonly Variant[], milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds
  let wall = 0
  for (let count = 0; count < 1 || (count < WARM_UP && performance.now() < end); count++) {
    wall = 0
    for (const variant of variants) wall += (await runBatch(variant, 1)).wall
  }
  const operations = Math.round(BATCH / (wall / variants.length))
  return Math.min(Math.max(operations, 1), MOST_OPERATIONS)
}
