import { setImmediate } from 'node:timers/promises'
import { TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { useFaultyApp } from './app.ts'
import { completes, isReadyAfter, sends } from './messages.ts'
import type { Harm } from './proxy.ts'
import {
  boom,
  expectNextRequest,
  expectTold,
  gone,
  lossIn,
  reportOf,
  terminate,
} from './support.ts'

const faulty = useFaultyApp()
const { app, proxy } = faulty

/** The suppressed errors of an error. */
function suppressedBy(error: unknown): unknown[] {
  return (error as { suppressed?: unknown[] }).suppressed ?? []
}

const harms: readonly Harm[] = ['cut before', 'cut after', 'reset', 'truncate', 'stall']
const moments = [
  { what: 'at ROLLBACK', at: sends('rollback') },
  { what: 'at the answer to ROLLBACK', at: completes('ROLLBACK') },
  { what: 'at the end of that answer', at: isReadyAfter('ROLLBACK') },
]
/** With these faults the complete answer to ROLLBACK arrives, so nothing has failed. */
const answered = [
  'cut after at the end of that answer',
  'stall at the end of that answer',
  'stall at the answer to ROLLBACK',
]
const faults = moments.flatMap(({ what, at }) => harms.map((harm) => ({ harm, what, at })))

describe.each(speakers)('a transaction of $name that is rolled back', (speaker) => {
  test.each(faults)('and lost ($harm $what) rejects with its own error', async (planned) => {
    const { harm, what, at } = planned
    const thrown = new Error('thrown')
    const fault = proxy.plan(harm, at)
    const reporting = reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      throw thrown
    })
    await fault.struck
    if (harm === 'stall') await terminate(app, faulty.pid)
    fault.lift()
    const report = await reporting

    expect(report.error).toBe(thrown)
    expectTold(report, 'rolled-back')
    const suppressed = suppressedBy(thrown)
    if (answered.includes(`${harm} ${what}`)) expect(suppressed).toEqual([])
    else expect(suppressed.map(lossIn)).toEqual([expect.any(Error)])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    await gone(app, faulty.pid)
    expect(await app.rows()).toEqual([])
    await expectNextRequest(app, speaker, faulty.pid)
  })

  test('for an error of the server rejects with that error, and the loss is suppressed', async () => {
    const fault = proxy.plan('cut before', sends('rollback'))
    const report = await reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      await app.pool.query('select 1 / 0')
    })
    await fault.struck
    expect(report.error).toMatchObject({ code: '22012' })
    expect(suppressedBy(report.error).map(lossIn)).toEqual([expect.any(Error)])
    expectTold(report, 'rolled-back')
    await gone(app, faulty.pid)
    expect(await app.rows()).toEqual([])
    await expectNextRequest(app, speaker, faulty.pid)
  })

  test('or not, is rolled back at its end if the connection is lost while it is idle', async () => {
    const report = await reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      proxy.cut()
      while (app.shared.inTransaction) await setImmediate()
    })
    expect(report.error).toBeInstanceOf(TransactionAbortedError)
    expect(lossIn(report.error)).toBeInstanceOf(Error)
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a'])
    await gone(app, faulty.pid)
    expect(await app.rows()).toEqual([])
    await expectNextRequest(app, speaker, faulty.pid)
  })

  test('or not, is rolled back if the connection is lost before it has sent anything', async () => {
    const report = await reportOf(app, speaker, async () => {
      proxy.cut()
      while (app.shared.inTransaction) await setImmediate()
    })
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual([])
    await expectNextRequest(app, speaker, faulty.pid)
  })
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a nested block whose ROLLBACK TO is lost rejects with its own error', async () => {
    const thrown = new Error('thrown')
    const fault = proxy.plan('cut before', sends('rollback to savepoint sp1'))
    const report = await reportOf(app, outer, async () => {
      await outer.note(app, 'a')
      const nested = inner.block(app, async () => {
        await inner.note(app, 'b')
        throw thrown
      })
      expect(await failureOf(nested)).toBe(thrown)
      expect(suppressedBy(thrown).map(lossIn)).toEqual([expect.any(Error)])
    })
    await fault.struck
    expect(report.error).toBeInstanceOf(TransactionAbortedError)
    expect(lossIn(report.error)).toBeInstanceOf(Error)
    expectTold(report, 'rolled-back')
    await gone(app, faulty.pid)
    expect(await app.rows()).toEqual([])
    await expectNextRequest(app, outer, faulty.pid)
  })

  test('a connection that is lost in a savepoint between two statements rolls back everything', async () => {
    const report = await reportOf(app, outer, async () => {
      await outer.note(app, 'a')
      await inner.block(app, async () => {
        await inner.note(app, 'b')
        proxy.cut()
        while (app.shared.inTransaction) await setImmediate()
        throw boom
      })
    })
    expect(report.error).toBe(boom)
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'savepoint sp1', 'insert b'])
    await gone(app, faulty.pid)
    expect(await app.rows()).toEqual([])
    await expectNextRequest(app, outer, faulty.pid)
  })
})
