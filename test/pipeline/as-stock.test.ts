import { Pool, type PoolClient, type PoolConfig } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { type Manner, mannersHere } from '../setup/worlds.ts'

// Deferring must not change an answer: each command that is sent manually on a client is answered as by
// plain pg, and the same rows are there afterwards.

/** The commands of a manual program. */
const COMMANDS = {
  write: `insert into note (text) values ('n' || nextval('noted'))`,
  fail: 'select 1 / 0',
  savepoint: 'savepoint s',
  release: 'release s',
  'rollback to': 'rollback to s',
} as const

type Command = keyof typeof COMMANDS
type End = 'commit' | 'rollback'

/** All programs of that many commands. */
function programs(length: number): Command[][] {
  if (length === 0) return [[]]
  const commands = Object.keys(COMMANDS) as Command[]
  return programs(length - 1).flatMap((program) => commands.map((next) => [...program, next]))
}

const all = [0, 1, 2, 3].flatMap((length) => programs(length))

const manners: readonly Manner[] = mannersHere([
  { name: 'deferred', options: {} },
  { name: 'not deferred', options: { shared: { lazy: false } } },
  { name: 'deferred, in pipeline mode', options: { pool: { pipeline: true } } },
])

/** The outcome of a program. */
interface Outcome {
  /** The answers to the commands: tags, or the codes of errors. */
  readonly answers: readonly string[]
  /** How many rows there are then. */
  readonly rows: number
}

async function answerOf(client: PoolClient, text: string): Promise<string> {
  try {
    return (await client.query(text)).command
  } catch (error) {
    const { name, code } = error as { name: string; code?: string }
    // an answer of the bridge counts as that of the server
    return name === 'TransactionAbortedError' ? '25P02' : (code ?? name)
  }
}

async function outcomeOf(
  pool: Pool,
  app: App,
  program: readonly Command[],
  end: End,
): Promise<Outcome> {
  const client = await pool.connect()
  const answers: string[] = []
  for (const text of ['begin', ...program.map((command) => COMMANDS[command]), end]) {
    answers.push(await answerOf(client, text))
  }
  client.release()
  const { rowCount } = await app.observer.query('delete from note')
  return { answers, rows: rowCount ?? 0 }
}

/** The bridge rejects a COMMIT that was answered with ROLLBACK. pg resolves with that tag. */
function told({ answers, rows }: Outcome, end: End): Outcome {
  const isLie = end === 'commit' && answers.at(-1) === 'ROLLBACK'
  return { answers: isLie ? [...answers.slice(0, -1), '25P02'] : answers, rows }
}

describe.each(manners)('manual commands, $name,', ({ options }) => {
  const app = useApp({ ...options, pool: { ...options.pool, max: 1 } })
  let stock: Pool

  beforeAll(async () => {
    await app.observer.query('create sequence noted')
    const config: PoolConfig = { connectionString: app.url, max: 1, ...options.pool }
    stock = new Pool(config)
  })
  afterAll(() => stock.end())

  test.each(['commit', 'rollback'] as const)(
    'every program of up to three commands, and %s, is answered as by plain pg',
    { timeout: 60_000 },
    async (end) => {
      const kinds = new Set<string>()
      for (const program of all) {
        const expected = told(await outcomeOf(stock, app, program, end), end)
        const found = await outcomeOf(app.pool, app, program, end)
        expect({ program, ...found }).toEqual({ program, ...expected })
        for (const answer of found.answers) kinds.add(answer)
      }
      // each rule was met: aborted, no such savepoint, and every success
      for (const kind of [
        '22012',
        '25P02',
        '3B001',
        'SAVEPOINT',
        'RELEASE',
        'ROLLBACK',
        'INSERT',
      ]) {
        expect(kinds).toContain(kind)
      }
    },
  )
})
