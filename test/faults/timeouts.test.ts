import { setImmediate } from 'node:timers/promises'
import { TransactionAbortedError } from 'shared-connection'
import { beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { expectNextRequest, expectTold, mixed, reportOf, session } from './support.ts'

const app = useApp({ pool: { max: 1 } })
let pid = 0

beforeEach(async () => {
  await app.observer.query(`insert into note (text) values ('theirs')`)
  pid = await session(app)
})

/** Statements that exceed a time limit of the server, with the SQLSTATE. */
const limits = [
  { limit: 'statement_timeout', code: '57014', sql: 'select pg_sleep(600)' },
  { limit: 'lock_timeout', code: '55P03', sql: `update note set text = 'b' where text = 'theirs'` },
]

/** Locks the rows of others while `fn` runs. */
async function whileLocked(fn: () => Promise<void>): Promise<void> {
  const other = await app.observer.connect()
  try {
    await other.query('begin')
    await other.query('select from note for update')
    await fn()
  } finally {
    await other.query('rollback')
    other.release()
  }
}

describe.each(limits)('$limit', ({ limit, code, sql }) => {
  /** Long enough for a statement that does not wait, on any machine. */
  const set = `set local ${limit} = 150`
  const verb = sql.split(' ', 1)[0]

  test.each(speakers)('in a transaction of $name rolls it back', async (speaker) => {
    await whileLocked(async () => {
      const report = await reportOf(app, speaker, async () => {
        await speaker.note(app, 'a')
        await app.pool.query(set)
        await app.pool.query(sql)
      })
      expect(report.error).toMatchObject({ code })
      expectTold(report, 'rolled-back')
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'set', verb, 'rollback'])
    expect(await app.rows()).toEqual(['theirs'])
    expect(await session(app)).toBe(pid)
  })

  test.each(mixed)('in a savepoint of $name rolls back only that savepoint', async (world) => {
    const { outer, inner } = world
    await whileLocked(async () => {
      const report = await reportOf(app, outer, async () => {
        await outer.note(app, 'a')
        const nested = inner.block(app, async () => {
          await app.pool.query(set)
          await app.pool.query(sql)
        })
        expect(await failureOf(nested)).toMatchObject({ code })
        await outer.note(app, 'c')
      })
      expectTold(report, 'committed')
    })
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'set',
      verb,
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
    expect(await app.rows()).toEqual(['theirs', 'a', 'c'])
    expect(await session(app)).toBe(pid)
  })
})

describe.each(speakers)('idle_in_transaction_session_timeout of $name', (speaker) => {
  const set = 'set local idle_in_transaction_session_timeout = 20'

  test('rolls back, even if the block succeeds', async () => {
    const report = await reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      await app.pool.query(set)
      while (app.shared.inTransaction) await setImmediate()
    })
    expect(report.error).toBeInstanceOf(TransactionAbortedError)
    expect(report.error?.cause).toMatchObject({ code: '25P03' })
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'set'])
    expect(await app.rows()).toEqual(['theirs'])
    await expectNextRequest(app, speaker, pid)
  })

  test('refuses statements that come too late, with the reason', async () => {
    const report = await reportOf(app, speaker, async () => {
      await app.pool.query(set)
      while (app.shared.inTransaction) await setImmediate()
      await speaker.note(app, 'a')
    })
    expect(report.error).toMatchObject({
      name: 'TransactionClosedError',
      state: 'lost',
      cause: { code: '25P03' },
    })
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual(['begin', 'set'])
    await expectNextRequest(app, speaker, pid)
  })
})
