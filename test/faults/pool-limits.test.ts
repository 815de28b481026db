import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'
import { FaultyProxy } from './proxy.ts'
import { expectTold, reportOf, session, until } from './support.ts'

describe('connectionTimeoutMillis', () => {
  const app = useApp({ pool: { max: 1, connectionTimeoutMillis: 500 } })
  const message = 'timeout exceeded when trying to connect'

  test.each(speakers)(
    'a block that waits too long for a client, behind $name, rejects and is not run',
    async (holder) => {
      const opened = gate()
      const done = gate()
      const entered: string[] = []
      const holding = reportOf(app, holder, async () => {
        await holder.note(app, 'a')
        opened.open()
        await done.passed
        await holder.note(app, 'b')
      })
      await opened.passed
      const waiting = await Promise.all([
        failureOf(app.pool.connect()),
        ...speakers.flatMap((speaker) => [
          failureOf(speaker.block(app, async () => void entered.push(speaker.name))),
          failureOf(Promise.resolve(speaker.note(app, 'c'))),
        ]),
      ])
      expect(new Set(waiting.map((error) => error.message))).toEqual(new Set([message]))
      expect(entered).toEqual([])
      expect(app.pool.waitingCount).toBe(0)
      done.open()
      expectTold(await holding, 'committed')

      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
      expect([app.pool.totalCount, app.pool.idleCount]).toEqual([1, 1])
      await holder.block(app, () => holder.note(app, 'next'))
      expect(await app.rows()).toEqual(['a', 'b', 'next'])
    },
  )
})

describe('a server that does not answer', () => {
  const proxy = new FaultyProxy()
  const app = useApp({ pool: { max: 1, maxUses: 1, connectionTimeoutMillis: 500 }, through: proxy })

  test.each(speakers)('rejects the call of $name, and the next request works', async (speaker) => {
    const stalled = proxy.plan('stall', ({ type }) => type === '')
    let isEntered = false
    const failing = speaker.block(app, async () => {
      isEntered = true
    })
    expect((await failureOf(failing)).message).toContain('timeout')
    expect(isEntered).toBe(false)
    expect(app.pool.totalCount).toBe(0)
    stalled.lift()
    await speaker.block(app, () => speaker.note(app, 'next'))
    expect(app.transcript.lines()).toEqual(['begin', 'insert next', 'commit'])
    expect(await app.rows()).toEqual(['next'])
  })
})

describe('maxUses', () => {
  const app = useApp({ pool: { max: 1, maxUses: 2 } })

  test.each(worlds)('$name: a transaction counts as one use of its client', async (world) => {
    const { outer, inner } = world
    // These complete the uses of a client that the pool may have already.
    await until(async () => {
      await app.pool.query('select 1')
      return app.pool.totalCount === 0
    })
    const pid = await session(app)
    const report = await reportOf(app, outer, async () => {
      await outer.note(app, 'a')
      await inner.block(app, () => inner.note(app, 'b'))
      await outer.note(app, 'c')
      const { rows } = await app.pool.query('select pg_backend_pid() as pid')
      expect(rows).toEqual([{ pid }])
      expect(app.pool.totalCount).toBe(1)
    })
    expectTold(report, 'committed')
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
    expect(app.pool.totalCount).toBe(0)
    expect(await session(app)).not.toBe(pid)
  })
})

describe('maxLifetimeSeconds', () => {
  const app = useApp({ pool: { max: 1, maxLifetimeSeconds: 0.02 } })

  test.each(worlds)(
    '$name: a pending transaction outlives the maximum lifetime of its client',
    async (world) => {
      const { outer, inner } = world
      let pid: unknown
      const report = await reportOf(app, outer, async () => {
        await outer.note(app, 'a')
        pid = app.transcript.events()[0]?.processID
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          await until(() => app.pool.expiredCount === 1)
          await outer.note(app, 'c')
        })
        await outer.note(app, 'd')
      })
      expectTold(report, 'committed')
      const sessions = new Set(app.transcript.events().map(({ processID }) => processID))
      expect([...sessions]).toEqual([pid])
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd'])
      expect(app.pool.totalCount).toBe(0)
      expect(await session(app)).not.toBe(pid)
    },
  )

  test.each(speakers)(
    'a transaction of $name that rolls back is followed by a new client',
    async (speaker) => {
      const pid = await session(app)
      const report = await reportOf(app, speaker, async () => {
        await speaker.note(app, 'a')
        await until(() => app.pool.expiredCount === 1)
        throw new Error('theirs')
      })
      expectTold(report, 'rolled-back')
      expect(await app.rows()).toEqual([])
      expect(app.pool.totalCount).toBe(0)
      expect(await session(app)).not.toBe(pid)
    },
  )
})
