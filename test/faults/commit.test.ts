import { describe, expect, test } from 'vitest'
import { type Speaker, speakers } from '../setup/worlds.ts'
import { useFaultyApp } from './app.ts'
import { completes, isReadyAfter, type Moment, sends } from './messages.ts'
import type { Harm } from './proxy.ts'
import {
  expectNextRequest,
  expectTold,
  gone,
  lossIn,
  type Report,
  reportOf,
  session,
  terminate,
} from './support.ts'

const faulty = useFaultyApp()
const { app, proxy } = faulty

/** Runs a block that writes two notes, with that fault. */
async function strike(harm: Harm, at: Moment, speaker: Speaker): Promise<Report> {
  const fault = proxy.plan(harm, at)
  const reporting = reportOf(app, speaker, async () => {
    await speaker.note(app, 'a')
    await speaker.note(app, 'b')
  })
  await fault.struck
  if (harm === 'stall') await terminate(app, faulty.pid)
  fault.lift()
  const report = await reporting
  await gone(app, faulty.pid)
  return report
}

const before: readonly Harm[] = ['cut before', 'reset', 'truncate', 'stall']
const answered = completes('COMMIT')

describe.each(speakers)('COMMIT of $name', (speaker) => {
  test.each(before)(
    'that never reached the server (%s): unknown, and rolled back',
    async (harm) => {
      const report = await strike(harm, sends('commit'), speaker)
      expectTold(report, 'unknown')
      expect(lossIn(report.error)).toBeInstanceOf(Error)
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
      expect(await app.rows()).toEqual([])
      await expectNextRequest(app, speaker, faulty.pid)
    },
  )

  test('that reached the server, which could not answer: unknown, and committed', async () => {
    const report = await strike('cut after', sends('commit'), speaker)
    expectTold(report, 'unknown')
    expect(lossIn(report.error)).toBeInstanceOf(Error)
    expect(await app.rows()).toEqual(['a', 'b'])
    await expectNextRequest(app, speaker, faulty.pid)
  })

  test.each(['cut before', 'reset', 'truncate'] as const)(
    'whose answer never came (%s): unknown, and committed',
    async (harm) => {
      const report = await strike(harm, answered, speaker)
      expectTold(report, 'unknown')
      expect(lossIn(report.error)).toBeInstanceOf(Error)
      expect(await app.rows()).toEqual(['a', 'b'])
      await expectNextRequest(app, speaker, faulty.pid)
    },
  )

  test('whose answer comes together with the end of the session: committed', async () => {
    const report = await strike('stall', answered, speaker)
    expectTold(report, 'committed')
    expect(await app.rows()).toEqual(['a', 'b'])
    await expectNextRequest(app, speaker, faulty.pid)
  })

  test.each([
    { harm: 'cut after', at: answered },
    { harm: 'cut before', at: isReadyAfter('COMMIT') },
    { harm: 'truncate', at: isReadyAfter('COMMIT') },
    { harm: 'reset', at: isReadyAfter('COMMIT') },
  ] as const)(
    'whose answer came without ReadyForQuery ($harm): committed, as its tag says',
    async ({ harm, at }) => {
      expectTold(await strike(harm, at, speaker), 'committed')
      expect(await app.rows()).toEqual(['a', 'b'])
      await expectNextRequest(app, speaker, faulty.pid)
    },
  )

  test('that was answered, before the connection was lost: committed', async () => {
    expectTold(await strike('cut after', isReadyAfter('COMMIT'), speaker), 'committed')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
    expect(await app.rows()).toEqual(['a', 'b'])
    await expectNextRequest(app, speaker, faulty.pid)
  })

  test('that is delayed commits on the same session', async () => {
    const faults = [proxy.plan('stall', sends('commit')), proxy.plan('stall', answered)]
    const reporting = reportOf(app, speaker, () => speaker.note(app, 'a'))
    for (const fault of faults) {
      await fault.struck
      expect(app.pool.idleCount).toBe(0)
      fault.lift()
    }
    expectTold(await reporting, 'committed')
    expect(await app.rows()).toEqual(['a'])
    expect(await session(app)).toBe(faulty.pid)
  })
})
