import type { PoolClient } from 'pg'
import { isSharedConnectionError } from 'shared-connection'
import { beforeAll, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ shared: { lazy: false } })
const broken = new Error('the wire is broken')
let failsAt: string | undefined

// The bridge sends through the `query` method that a client has when the bridge acquires it.
beforeAll(() => {
  app.pool.on('connect', (client: PoolClient) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown
    const guarded = (...args: unknown[]): unknown => {
      const sent = args[0] as string | { text: string; handleError(error: Error): void }
      if (typeof sent === 'string' || sent.text !== failsAt) return query(...args)
      // The server gets COMMIT, but its answer is lost.
      if (failsAt === 'commit') query(sent)
      failsAt = undefined
      process.nextTick(() => sent.handleError(broken))
      return sent
    }
    Object.assign(client, { query: guarded })
  })
})

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('whose BEGIN fails does not run its block, and its client goes back to the pool', async () => {
    failsAt = 'begin'
    let ran = false
    const failing = speaker.block(app, () => {
      ran = true
      return Promise.resolve()
    })
    expect(await failureOf(failing)).toBe(broken)
    expect([ran, app.shared.inTransaction]).toEqual([false, false])
    await speaker.block(app, () => speaker.note(app, 'a'))
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines().slice(-3)).toEqual(['begin', 'insert a', 'commit'])
  })

  test('whose SAVEPOINT fails goes on without it, or not at all', async () => {
    failsAt = 'savepoint sp1'
    let ran = false
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await speaker.block(app, () => {
        ran = true
        return Promise.resolve()
      })
    })
    expect(await failureOf(failing)).toBe(broken)
    expect(ran).toBe(false)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().at(-1)).toBe('rollback')
  })

  test('whose ROLLBACK fails rejects with the first error', async () => {
    const boom = new Error('boom')
    const hooks: string[] = []
    failsAt = 'rollback'
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.afterRollback(() => void hooks.push('rollback'))
      throw boom
    })
    expect(await failureOf(failing)).toBe(boom)
    expect((boom as { suppressed?: unknown }).suppressed).toEqual([broken])
    expect(hooks).toEqual(['rollback'])
    expect(await app.rows()).toEqual([])
    // A client that may still be in a transaction is never reused.
    await speaker.note(app, 'b')
    expect(await app.rows()).toEqual(['b'])
    const pids = app.transcript.events().map(({ processID }) => processID)
    expect(pids.at(-1)).not.toBe(pids[0])
    expect(app.transcript.lines().at(-1)).toBe('insert b')
  })

  test('whose COMMIT gets no answer rejects with an unknown outcome', async () => {
    const outcomes: string[] = []
    failsAt = 'commit'
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.afterCommit(() => void outcomes.push('after commit'))
      await app.shared.afterCompletion((outcome) => void outcomes.push(outcome))
    })
    const failure = await failureOf(failing)
    expect(isSharedConnectionError(failure)).toBe(true)
    expect(failure).toMatchObject({ name: 'TransactionOutcomeUnknownError', cause: broken })
    expect(outcomes).toEqual(['unknown'])
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines().slice(0, 2)).toEqual(['begin', 'insert a'])
  })

  test('whose connection is lost rejects, and the next one has another connection', async () => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.observer.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where state = 'idle in transaction' and datname = current_database()`,
      )
      await speaker.note(app, 'b')
    })
    await expect(failing).rejects.toThrow()
    expect(app.shared.inTransaction).toBe(false)
    await speaker.block(app, () => speaker.note(app, 'c'))
    expect(await app.rows()).toEqual(['c'])
    expect(app.transcript.lines().slice(-3)).toEqual(['begin', 'insert c', 'commit'])
  })

  test('whose connection is lost before COMMIT is rolled back', async () => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.observer.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where state = 'idle in transaction' and datname = current_database()`,
      )
      await expect.poll(() => app.shared.inTransaction).toBe(false)
    })
    expect((await failureOf(failing)).name).toBe('TransactionAbortedError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a'])
  })
})
