import { type Cost, runBatch } from './batch.ts'
import type { Variant } from './scenario.ts'

/**
 * The number of operations of each variant before the measurement. V8 goes on compiling for about a
 * thousand transactions, and the more code there is, the longer.
 */
const WARM_UP = 1_500
/**
 * The length of a batch in milliseconds. It is short, so that disturbances of the machine affect all
 * variants alike. It is long enough that the first operations, with cold caches, do not dominate.
 */
const BATCH = 15
const MOST_OPERATIONS = 50

/** The duration of a measurement. */
export interface Pace {
  readonly seconds: number
  /** The most seconds of warm-up. */
  readonly warmUp: number
  readonly fewestRounds: number
}

export interface Rounds {
  readonly operations: number
  /** The costs of each variant, round by round. */
  readonly costs: ReadonlyMap<string, readonly Cost[]>
}

/**
 * Runs the variants alternately, a small batch of each in a round. Every round begins with another
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

/** Runs the variants so that their code is compiled and their clients connect. Takes at most `seconds`. */
export async function warmUp(variants: readonly Variant[], seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1_000
  for (let count = 0; count < 1 || (count < WARM_UP && performance.now() < end); count++) {
    for (const variant of variants) await runBatch(variant, 1)
  }
}

/** Returns the number of operations in a batch. */
async function batchOf(variants: readonly Variant[]): Promise<number> {
  let wall = 0
  for (const variant of variants) wall += (await runBatch(variant, 1)).wall
  const operations = Math.round(BATCH / (wall / variants.length))
  return Math.min(Math.max(operations, 1), MOST_OPERATIONS)
}
