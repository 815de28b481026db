import { HookError, Rollback } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp()

const first = new Error('first hook')
const second = new Error('second hook')

const throwing = (error: unknown) => () => {
  throw error
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('it has resolved'),
    (error: unknown) => error,
  )
}

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('hooks that throw leave the data committed, the others run, and the call rejects', async () => {
    const ran: string[] = []
    const error = await rejection(
      outer.block(app, async () => {
        await outer.note(app, 'a')
        await app.db.afterRollback(() => void ran.push('rollback'))
        await app.db.afterCommit(throwing(first))
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          await app.db.afterCommit(() => Promise.reject(second))
        })
        await app.db.afterCommit(() => void ran.push('last'))
        await app.db.afterCompletion((outcome) => void ran.push(outcome))
      }),
    )
    expect(error).toBeInstanceOf(HookError)
    expect(error).toMatchObject({
      name: 'HookError',
      outcome: 'committed',
      errors: [first, second],
      cause: first,
    })
    expect(ran).toEqual(['last', 'committed'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('a hook that throws after the rollback of a savepoint does not hide the reason of the rollback', async () => {
    const ran: string[] = []
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const error = new Error('of the savepoint')
      const rejected = await rejection(
        inner.block(app, async () => {
          await inner.note(app, 'b')
          await app.db.afterRollback(throwing(first))
          await app.db.afterRollback(() => void ran.push('the other'))
          throw error
        }),
      )
      expect(rejected).toBe(error)
      expect(error).toHaveProperty('suppressed', [
        expect.objectContaining({ name: 'HookError', outcome: 'rolled-back', errors: [first] }),
      ])
    })
    expect(ran).toEqual(['the other'])
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
})

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('has ended after a hook error: the next one is a new one', async () => {
    const error = await rejection(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.afterCommit(throwing(first))
      }),
    )
    expect(error).toBeInstanceOf(HookError)
    expect(app.shared.inTransaction).toBe(false)
    await speaker.block(app, () => speaker.note(app, 'b'))
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert b',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('rejects with the error of its rollback before that of a hook', async () => {
    const error = new Error('of the transaction')
    const rejected = await rejection(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.afterRollback(throwing(first))
        await app.db.afterCompletion(throwing(second))
        throw error
      }),
    )
    expect(rejected).toBe(error)
    expect(error).toHaveProperty('suppressed', [
      expect.objectContaining({
        name: 'HookError',
        outcome: 'rolled-back',
        errors: [first, second],
      }),
    ])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('rejects with the aborting error before that of a rollback hook', async () => {
    const rejected = await rejection(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.afterRollback(throwing(first))
        await app.pool.query('select 1 / 0').catch(() => {})
      }),
    )
    expect(rejected).toMatchObject({
      name: 'TransactionAbortedError',
      cause: { message: 'division by zero' },
      suppressed: [{ name: 'HookError', outcome: 'rolled-back', errors: [first] }],
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
    expect(await app.rows()).toEqual([])
  })

  test('collects whatever a hook throws, even if it is no Error', async () => {
    const error = await rejection(
      speaker.block(app, async () => {
        await app.db.afterCommit(throwing('a text'))
        await app.db.afterCommit(throwing(undefined))
      }),
    )
    expect(error).toMatchObject({ name: 'HookError', errors: ['a text', undefined] })
    expect(app.transcript.lines()).toEqual([])
  })

  test('that was nested rejects after the outermost commit, so its own block resolves', async () => {
    let resolved = false
    const error = await rejection(
      speaker.block(app, async () => {
        await speaker.block(app, async () => {
          await speaker.note(app, 'a')
          await app.db.afterCommit(throwing(first))
        })
        resolved = true
      }),
    )
    expect(resolved).toBe(true)
    expect(error).toMatchObject({ name: 'HookError', outcome: 'committed', errors: [first] })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'commit'])
  })
})

describe('a rollback on request', () => {
  test('rejects with the error of a rollback hook, since there is no other error', async () => {
    const error = await rejection(
      app.shared.transaction(async ({ frame }) => {
        await app.pool.query('insert into note (text) values ($1)', ['a'])
        await app.db.afterRollback(throwing(first))
        frame.rollbackOnExit()
      }),
    )
    expect(error).toMatchObject({ name: 'HookError', outcome: 'rolled-back', errors: [first] })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('by throwing Rollback does so, too', async () => {
    const error = await rejection(
      app.shared.transaction(async () => {
        await app.pool.query('insert into note (text) values ($1)', ['a'])
        await app.db.afterRollback(throwing(first))
        throw new Rollback('value')
      }),
    )
    expect(error).toMatchObject({ name: 'HookError', outcome: 'rolled-back', errors: [first] })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('runs rollback hooks and resolves with its value', async () => {
    const ran: string[] = []
    const value = await app.shared.transaction(async () => {
      await app.pool.query('insert into note (text) values ($1)', ['a'])
      await app.db.afterCommit(() => void ran.push('commit'))
      await app.db.afterRollback(() => void ran.push('rollback'))
      await app.db.beforeCommit(() => void ran.push('before'))
      throw new Rollback('value')
    })
    expect(value).toBe('value')
    expect(ran).toEqual(['rollback'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('by rollbackOnExit runs no before-commit hook, since nothing is committed', async () => {
    const ran: string[] = []
    const value = await app.shared.transaction(async ({ frame }) => {
      await app.pool.query('insert into note (text) values ($1)', ['a'])
      await app.db.beforeCommit(() => void ran.push('before'))
      await app.db.afterRollback(() => void ran.push('rollback'))
      frame.rollbackOnExit()
      return 'value'
    })
    expect(value).toBe('value')
    expect(ran).toEqual(['rollback'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })
})
