import type { HookError } from 'shared-connection'
import { beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

let taken: HookError[] = []
let onHookError = (error: HookError): void => void taken.push(error)
const app = useApp({ shared: { onHookError: (error) => onHookError(error) } })

const boom = new Error('boom')
const first = new Error('first hook')
const second = new Error('second hook')

beforeEach(() => {
  taken = []
  onHookError = (error) => void taken.push(error)
})

describe.each(speakers)('with onHookError, a transaction of $name', (speaker) => {
  test('resolves with its value, though hooks have thrown', async () => {
    const ran: string[] = []
    const value = await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.db.afterCommit(() => Promise.reject(first))
      await app.db.afterCommit(() => void ran.push('the other'))
      await app.db.afterCommit(() => Promise.reject(second))
      return 'value'
    })
    expect(value).toBe('value')
    expect(ran).toEqual(['the other'])
    expect(taken).toEqual([
      expect.objectContaining({ outcome: 'committed', errors: [first, second], cause: first }),
    ])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('receives the errors of rollback hooks, too, and nothing is suppressed', async () => {
    const error = new Error('of the transaction')
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.afterRollback(() => Promise.reject(first))
        throw error
      }),
    ).rejects.toBe(error)
    expect(error).not.toHaveProperty('suppressed')
    expect(taken).toEqual([expect.objectContaining({ outcome: 'rolled-back', errors: [first] })])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('does not receive the error of a before-commit hook, which is the reason of the rollback', async () => {
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.beforeCommit(() => Promise.reject(boom))
      }),
    ).rejects.toBe(boom)
    expect(taken).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('is committed even if onHookError throws, and that error is suppressed', async () => {
    onHookError = () => {
      throw second
    }
    const committing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.db.afterCommit(() => Promise.reject(first))
    })
    await expect(committing).rejects.toMatchObject({
      name: 'HookError',
      outcome: 'committed',
      errors: [first],
      suppressed: [second],
    })
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

  test('rejects with its own first error even if onHookError throws', async () => {
    onHookError = () => {
      throw second
    }
    const error = new Error('of the transaction')
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.afterRollback(() => Promise.reject(first))
        throw error
      }),
    ).rejects.toBe(error)
    const hookError = expect.objectContaining({ outcome: 'rolled-back', errors: [first] })
    expect(error).toMatchObject({ suppressed: [hookError, second] })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('rejects with the HookError if onHookError throws it again', async () => {
    onHookError = (error) => {
      throw error
    }
    const committing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.db.afterCommit(() => Promise.reject(first))
    })
    await expect(committing).rejects.toMatchObject({ errors: [first], suppressed: [] })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })
})
