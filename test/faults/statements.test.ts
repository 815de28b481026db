import { describe, expect, test } from 'vitest'
import { useFaultyApp } from './app.ts'
import { binds, completes, isReadyAfter, type Moment, sends } from './messages.ts'
import { mannersHere } from '../setup/worlds.ts'
import type { Harm } from './proxy.ts'
import {
  boom,
  expectNextRequest,
  expectTold,
  gone,
  lossIn,
  mixed,
  reportOf,
  session,
  terminate,
} from './support.ts'

interface Planned {
  readonly what: string
  readonly at: Moment
}

/** Faults at control commands, which are separate round trips if they are not deferred. */
const controls: readonly Planned[] = [
  { what: 'BEGIN', at: sends('begin') },
  { what: 'SAVEPOINT', at: sends('savepoint sp1') },
  { what: 'RELEASE', at: sends('release savepoint sp1') },
  { what: 'the answer to BEGIN', at: completes('BEGIN') },
  { what: 'the answer to SAVEPOINT', at: completes('SAVEPOINT') },
  { what: 'the answer to RELEASE', at: completes('RELEASE') },
]

const others: readonly Planned[] = [
  { what: 'the first statement', at: binds('a') },
  { what: 'a later statement', at: binds('b') },
  { what: 'the statement behind SAVEPOINT', at: binds('c') },
  { what: 'the statement behind RELEASE', at: binds('d') },
  { what: 'ROLLBACK TO', at: sends('rollback to savepoint sp1') },
  { what: 'the answer to the first statement', at: completes('INSERT 0 1') },
  { what: 'the end of that answer', at: isReadyAfter('INSERT 0 1') },
  { what: 'the answer to ROLLBACK TO', at: completes('ROLLBACK') },
]

const harms: readonly Harm[] = ['cut before', 'cut after', 'reset', 'truncate', 'stall']
const withHarms = (moments: readonly Planned[]) =>
  moments.flatMap((moment) => harms.map((harm) => ({ harm, ...moment })))

const manners = mannersHere([
  {
    manner: 'control statements that ride',
    lazy: true,
    faults: withHarms([...controls, ...others]),
  },
  { manner: 'control statements of their own', lazy: false, faults: withHarms(controls) },
])

describe.each(manners)('$manner', ({ lazy, faults }) => {
  const faulty = useFaultyApp({ shared: { lazy } })
  const { app, proxy } = faulty

  describe.each(mixed)('$name', ({ outer, inner }) => {
    /** Runs a block with two savepoints, of which the second is rolled back. */
    async function story(): Promise<void> {
      await outer.note(app, 'a')
      await outer.note(app, 'b')
      await inner.block(app, () => inner.note(app, 'c'))
      await outer.note(app, 'd')
      await inner
        .block(app, async () => {
          await inner.note(app, 'e')
          throw boom
        })
        .catch((error: unknown) => {
          if (error !== boom) throw error
        })
      await outer.note(app, 'f')
    }

    test('nothing is lost if nothing fails', async () => {
      const connections = proxy.connections
      expectTold(await reportOf(app, outer, story), 'committed')
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'f'])
      expect(await session(app)).toBe(faulty.pid)
      expect(proxy.connections).toBe(connections)
    })

    test.each(faults)(
      '$harm at $what: rolled back, and the call rejects',
      async ({ harm, what, at }) => {
        const connections = proxy.connections
        const fault = proxy.plan(harm, at)
        const reporting = reportOf(app, outer, story)
        await fault.struck
        if (harm === 'stall') await terminate(app, faulty.pid)
        fault.lift()
        const report = await reporting

        expectTold(report, 'rolled-back')
        if (lazy || !what.endsWith('BEGIN')) expect(report.hasHooks).toBe(true)
        expect(lossIn(report.error)).toBeInstanceOf(Error)
        expect(app.transcript.lines()).not.toContain('commit')
        await gone(app, faulty.pid)
        expect(await app.rows()).toEqual([])
        await expectNextRequest(app, outer, faulty.pid)
        expect(proxy.connections).toBe(connections + 1)
        expect(await app.rows()).toEqual(['next'])
      },
    )
  })
})
