import { TransactionAbortedError } from 'shared-connection'
import { beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import {
  asleep,
  expectNextRequest,
  expectTold,
  lossIn,
  reportOf,
  session,
  terminate,
} from './support.ts'

const app = useApp({ pool: { max: 1 } })
const NAP = 'select pg_sleep(600)'
let pid = 0

beforeEach(async () => {
  pid = await session(app)
})

/** Cancels the statement of the session from outside, while it runs. */
async function cancel(): Promise<void> {
  await asleep(app, pid)
  await app.observer.query('select pg_cancel_backend($1)', [pid])
}

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('whose statement is cancelled by the server is rolled back, and its client is reused', async () => {
    const reporting = reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      await app.pool.query(NAP)
    })
    await cancel()
    const report = await reporting
    expect(report.error).toMatchObject({ code: '57014' })
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
    expect(await app.rows()).toEqual([])
    expect(await session(app)).toBe(pid)
  })

  test('whose cancelled statement was swallowed cannot commit', async () => {
    const reporting = reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      await failureOf(app.pool.query(NAP))
    })
    await cancel()
    const report = await reporting
    expect(report.error).toBeInstanceOf(TransactionAbortedError)
    expect(report.error?.cause).toMatchObject({ code: '57014' })
    expectTold(report, 'rolled-back')
    expect(await app.rows()).toEqual([])
    expect(await session(app)).toBe(pid)
  })

  test('whose session is terminated while a statement runs is rolled back', async () => {
    const reporting = reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      await app.pool.query(NAP)
    })
    await asleep(app, pid)
    await terminate(app, pid)
    const report = await reporting
    expect(report.error).toMatchObject({ code: '57P01' })
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select'])
    expect(await app.rows()).toEqual([])
    await expectNextRequest(app, speaker, pid)
  })
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a statement that is cancelled in a savepoint rolls back only that savepoint', async () => {
    const reporting = reportOf(app, outer, async () => {
      await outer.note(app, 'a')
      const nested = inner.block(app, async () => {
        await inner.note(app, 'b')
        await app.pool.query(NAP)
      })
      expect(await failureOf(nested)).toMatchObject({ code: '57014' })
      await outer.note(app, 'c')
    })
    await cancel()
    expectTold(await reporting, 'committed')
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(await session(app)).toBe(pid)
  })

  test('a session that is terminated in a savepoint loses the transaction', async () => {
    let later: Error | undefined
    const reporting = reportOf(app, outer, async () => {
      await outer.note(app, 'a')
      const nested = inner.block(app, () => app.pool.query(NAP))
      expect(await failureOf(nested)).toMatchObject({ code: '57P01' })
      later = await failureOf(Promise.resolve(outer.note(app, 'b')))
    })
    await asleep(app, pid)
    await terminate(app, pid)
    const report = await reporting
    expect(later?.name).toBe('TransactionClosedError')
    expect(report.error).toBeInstanceOf(TransactionAbortedError)
    expect(lossIn(report.error)).toMatchObject({ code: '57P01' })
    expectTold(report, 'rolled-back')
    expect(await app.rows()).toEqual([])
    await expectNextRequest(app, outer, pid)
  })
})
