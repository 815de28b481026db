import { setImmediate } from 'node:timers/promises'
import { TransactionClosedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()

const boom = new Error('boom')

describe.each(speakers)('in a transaction of $name', (speaker) => {
  test('a hook is registered at the call, whether that is awaited or not', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      void app.db.afterCommit(() => void ran.push('1'))
      void app.shared.afterCommit(() => void ran.push('2'))
      void app.db.beforeCommit(() => void ran.push('before'))
    })
    expect(ran).toEqual(['before', '1', '2'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('a hook of the savepoint that fails next is registered there', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await speaker
        .block(app, async () => {
          void app.db.afterCommit(() => void ran.push('commit'))
          void app.db.afterRollback(() => void ran.push('rollback'))
          await speaker.note(app, 'b')
          throw boom
        })
        .catch(() => {})
    })
    expect(ran).toEqual(['rollback'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'rollback to savepoint sp1',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a'])
  })

  test('a hook in an aborted transaction is registered, and runs with its rollback', async () => {
    const ran: string[] = []
    const result = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.pool.query('select 1 / 0').catch(() => {})
      await app.db.afterCommit(() => void ran.push('commit'))
      await app.db.afterRollback(() => void ran.push('rollback'))
    })
    await expect(result).rejects.toThrow()
    expect(ran).toEqual(['rollback'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
    expect(await app.rows()).toEqual([])
  })

  test('a hook that comes from a leaked branch after the end is refused', async () => {
    let leaked: Promise<unknown> | undefined
    let ended = (): void => {}
    const end = new Promise<void>((resolve) => (ended = resolve))
    let ran = false
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      leaked = end.then(() => app.db.afterCommit(() => void (ran = true)))
    })
    ended()
    await expect(leaked).rejects.toBeInstanceOf(TransactionClosedError)
    expect(ran).toBe(false)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('a hook that comes while COMMIT is in flight is refused', async () => {
    let late: Promise<unknown> | undefined
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      const isEnding = async (): Promise<void> => {
        while (app.shared.current?.state === 'open') await setImmediate()
        await app.db.afterCommit(() => {})
      }
      late = isEnding().then(
        () => 'registered',
        (error: unknown) => error,
      )
    })
    expect(await late).toBeInstanceOf(TransactionClosedError)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('a statement that a before-commit hook did not await belongs to the transaction', async () => {
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.db.beforeCommit(() => {
        void app.pool.query('insert into note (text) values ($1)', ['late'])
      })
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert late', 'commit'])
    expect(await app.rows()).toEqual(['a', 'late'])
  })
})
