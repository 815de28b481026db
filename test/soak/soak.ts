// Runs mixed load on one bridge, with random faults, for a given time: pnpm soak --seconds 60
//
// Every transaction records its result. After each round the results are compared with the database. The
// exit code is 1 if a row was lost, a client leaked, or a result was wrong.

import { parseArgs } from 'node:util'
import { freshDatabase, startPostgres } from '../postgres/index.ts'
import { openApplication } from './application.ts'
import { Faults } from './faults.ts'
import { printReport } from './print-report.ts'
import { Random } from './random.ts'
import { Soak } from './rounds.ts'

const MOST_SECONDS = 3_600

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    /** Repeats the same requests. The moments of the faults remain random. */
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Sends control commands at once, instead of deferring them. */
    'not-deferred': { type: 'boolean', default: false },
  },
})
const seconds = numberIn('seconds', values.seconds, MOST_SECONDS)
const seed = numberIn('seed', values.seed, 2 ** 32)

console.log(`soak: ${seconds} s of mixed load with faults, --seed ${seed}`)
const server = await startPostgres()
const database = await freshDatabase(server.url)
try {
  const app = await openApplication(database.url, !values['not-deferred'])
  const soak = new Soak(app, new Random(seed), new Faults(app, new Random(seed + 1)))
  const watch = watchProcess()
  const isStuck = !(await soak.run(seconds))
  process.exitCode = printReport(soak, [...watch(), ...(isStuck ? ['a round did not end'] : [])])
  // A round that is stuck would block close(), too.
  if (!isStuck) await app.close()
} finally {
  await database.drop()
  await server.stop()
}
// After the server has stopped, since a leaked connection would keep the process alive.
process.exit()

function numberIn(name: string, text: string, most: number): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0 && number <= most) return number
  throw new Error(`--${name} ${text}: give a whole number from 1 to ${most}`)
}

/** Records uncaught exceptions, unhandled rejections and warnings. */
function watchProcess(): () => string[] {
  const seen: string[] = []
  const note = (what: string) => (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    if (seen.length < 20) seen.push(`${what}: ${text}`)
  }
  process.on('uncaughtException', note('uncaught exception'))
  process.on('unhandledRejection', note('unhandled rejection'))
  process.on('warning', note('warning'))
  return () => seen
}
