import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { interruptSleep, sleeping } from '../setup/sessions.ts'
import { asksToCancel } from './messages.ts'
import { FaultyProxy } from './proxy.ts'

const proxy = new FaultyProxy()
const app = useApp({ pool: { max: 1 }, through: proxy })
const given = new Error('given up')

/** Runs a transaction that is aborted while one of its statements runs. */
async function giveUp(): Promise<Error> {
  const controller = new AbortController()
  const failure = failureOf(
    app.shared.transaction(
      async () => {
        await speakers[0].note(app, 'a')
        await app.pool.query('select pg_sleep(600)')
      },
      { signal: controller.signal },
    ),
  )
  await sleeping(app)
  controller.abort(given)
  return failure
}

describe('a CancelRequest', () => {
  test('uses a separate connection, and the client is reused', async () => {
    const before = proxy.connections
    expect(await giveUp()).toBe(given)
    // One is for the client, if the pool had none, and one is for the CancelRequest.
    expect(proxy.connections - before).toBe(2)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
    expect(await app.rows()).toEqual([])
    expect(app.pool.totalCount).toBe(1)
  })

  test('that has hit nothing is repeated', async () => {
    const fault = proxy.plan('cut before', asksToCancel)
    expect(await giveUp()).toBe(given)
    await fault.struck
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test.each(speakers)(
    'that has hit nothing is repeated for a statement that pg has abandoned, in a transaction of $name',
    async (speaker) => {
      const fault = proxy.plan('cut before', asksToCancel)
      const sleep = { text: 'select pg_sleep(600)', query_timeout: 100 }
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        const failure = failureOf(speaker.block(app, () => app.pool.query(sleep)))
        expect((await failure).message).toBe('Query read timeout')
        await fault.struck
        await speaker.note(app, 'b')
        // Later statements are not cancelled.
        await app.pool.query('select pg_sleep(0.7)')
      })
      expect(await app.rows()).toEqual(['a', 'b'])
    },
  )

  test('that cannot be sent ends the session instead', async () => {
    const fault = proxy.plan('reset', asksToCancel)
    expect(await giveUp()).toBe(given)
    await fault.struck
    expect(app.transcript.lines()).not.toContain('commit')
    expect(await app.rows()).toEqual([])
    await app.shared.transaction(() => speakers[1].note(app, 'next'))
    expect(app.pool.totalCount).toBe(1)
    expect(await app.rows()).toEqual(['next'])
    await interruptSleep(app, 'pg_cancel_backend')
  })
})
