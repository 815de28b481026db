import type { PoolClient } from 'pg'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { manners } from '../setup/worlds.ts'
import { useFaultyApp } from './app.ts'
import { completes, isReadyAfter, type Moment, sends } from './messages.ts'
import type { Harm } from './proxy.ts'
import {
  asleep,
  boom,
  expectNextRequest,
  expectTold,
  gone,
  mixed,
  reportOf,
  session,
  terminate,
} from './support.ts'

// Faults must have the same effects and errors in every manner: with and without deferred commands, in
// pipeline mode, with and without subscribers.

const KEPT = ['a', 'b', 'd']

/** The place and the kind of each fault, with the outcome and the rows afterwards. */
type Fault = readonly [
  what: string,
  harm: Harm,
  at: Moment,
  outcome: 'committed' | 'rolled-back' | 'unknown',
  rows: readonly string[],
]

const faults: readonly Fault[] = [
  ...(['cut before', 'reset', 'truncate', 'stall'] as const).map((harm): Fault => [
    'COMMIT',
    harm,
    sends('commit'),
    'unknown',
    [],
  ]),
  ['COMMIT', 'cut after', sends('commit'), 'unknown', KEPT],
  ...(['cut before', 'reset', 'truncate'] as const).map((harm): Fault => [
    'the answer to COMMIT',
    harm,
    completes('COMMIT'),
    'unknown',
    KEPT,
  ]),
  ['the answer to COMMIT', 'cut after', completes('COMMIT'), 'committed', KEPT],
  ['the end of that answer', 'cut after', isReadyAfter('COMMIT'), 'committed', KEPT],
  ...(['cut before', 'cut after', 'reset', 'truncate', 'stall'] as const).map((harm): Fault => [
    'ROLLBACK TO',
    harm,
    sends('rollback to savepoint sp1'),
    'rolled-back',
    [],
  ]),
]

describe.each(manners)('$name', ({ name, options }) => {
  const faulty = useFaultyApp(options)
  const { app, proxy } = faulty

  describe.each(mixed)('$name', ({ outer, inner }) => {
    /** Writes two notes, one of them in a savepoint, then one in a savepoint that is rolled back, then one more. */
    async function story(): Promise<void> {
      await outer.note(app, 'a')
      await inner.block(app, () => inner.note(app, 'b'))
      const failing = inner.block(app, async () => {
        await inner.note(app, 'c')
        throw boom
      })
      expect(await failureOf(failing)).toBe(boom)
      await outer.note(app, 'd')
    }

    test.each(faults)('at %s, %s', async (_, harm, at, outcome, rows) => {
      const fault = proxy.plan(harm, at)
      const reporting = reportOf(app, outer, story)
      await fault.struck
      if (harm === 'stall') await terminate(app, faulty.pid)
      fault.lift()
      expectTold(await reporting, outcome)
      await gone(app, faulty.pid)
      expect(await app.rows()).toEqual(rows)
      await expectNextRequest(app, outer, faulty.pid)
    })

    test.each(['pg_cancel_backend', 'pg_terminate_backend'])(
      '%s in a savepoint rolls back no more than it must',
      async (how) => {
        const reporting = reportOf(app, outer, async () => {
          await outer.note(app, 'a')
          await failureOf(inner.block(app, () => app.pool.query('select pg_sleep(600)')))
          await outer.note(app, 'b')
        })
        await asleep(app, faulty.pid)
        await app.observer.query(`select ${how}($1)`, [faulty.pid])
        const isCancelled = how === 'pg_cancel_backend'
        expectTold(await reporting, isCancelled ? 'committed' : 'rolled-back')
        expect(await app.rows()).toEqual(isCancelled ? ['a', 'b'] : [])
        if (isCancelled) expect(await session(app)).toBe(faulty.pid)
        else await expectNextRequest(app, outer, faulty.pid)
      },
    )

    test('statement_timeout in a savepoint rolls back only that savepoint', async () => {
      const report = await reportOf(app, outer, async () => {
        await outer.note(app, 'a')
        const nested = inner.block(app, async () => {
          await app.pool.query('set local statement_timeout = 50')
          await app.pool.query('select pg_sleep(600)')
        })
        expect(await failureOf(nested)).toMatchObject({ code: '57014' })
        await outer.note(app, 'b')
      })
      expectTold(report, 'committed')
      expect(await app.rows()).toEqual(['a', 'b'])
    })

    test("a serialization failure at COMMIT rejects with the server's error", async () => {
      const other: PoolClient = await app.observer.connect()
      const report = await reportOf(app, outer, async () => {
        await app.pool.query('set transaction isolation level serializable')
        await app.pool.query('select count(*) from note')
        await inner.block(app, () => inner.note(app, 'a'))
        await other.query('begin isolation level serializable')
        await other.query('select count(*) from note')
        await other.query(`insert into note (text) values ('of the other')`)
        await other.query('commit')
      })
      other.release()
      expect(report.error).toMatchObject({ code: '40001' })
      expectTold(report, 'rolled-back')
      expect(await app.rows()).toEqual(['of the other'])
      expect(await session(app)).toBe(faulty.pid)
    })

    test('a block without statements is sent if nothing is deferred', async () => {
      await outer.block(app, () => inner.block(app, () => Promise.resolve()))
      const sent = ['begin', 'savepoint sp1', 'release savepoint sp1', 'commit']
      expect(app.transcript.lines()).toEqual(name === 'not lazy' ? sent : [])
    })
  })
})
