import * as fc from 'fast-check'

const { MODEL_PATH, MODEL_RUNS, MODEL_SEED } = process.env

const isLong = process.env['MODE'] === 'model'
const runs = Number(MODEL_RUNS ?? (isLong ? 2_000 : 180))
const seed = Number(MODEL_SEED ?? (isLong ? Date.now() % 2 ** 31 : 1))

if (isLong) console.log(`MODEL_SEED=${seed} MODEL_RUNS=${runs}`)

/** The time limit of a suite, with the time to shrink a failing program. */
export const patience = isLong || MODEL_RUNS !== undefined ? 1_800_000 : 60_000

/** The settings of one of several suites for its share of the programs. A failure prints how to replay it. */
export function forRuns<T>(suite: number, suites: number): fc.Parameters<T> {
  return {
    numRuns: Math.ceil(runs / suites),
    // Each suite runs other programs, except for a replay.
    seed: MODEL_PATH === undefined ? seed + suite : seed,
    ...(MODEL_PATH !== undefined && { path: MODEL_PATH, endOnFailure: true }),
    asyncReporter: async (details) => {
      if (!details.failed) return
      const again = `MODEL_SEED=${details.seed} MODEL_PATH=${details.counterexamplePath}`
      const report = `${await fc.asyncDefaultReportMessage(details)}\n\nTo replay it, set ${again}`
      const { errorInstance: cause } = details
      throw new Error(`${report}\n\n${cause instanceof Error ? cause.message : ''}`, { cause })
    },
  }
}
