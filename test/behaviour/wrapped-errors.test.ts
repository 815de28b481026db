import { sql } from 'drizzle-orm'
import {
  isSharedConnectionError,
  sharedConnectionErrorOf,
  StatementSkippedError,
} from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'

const app = useApp()

const reasonOf = (promise: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    () => undefined,
    (error: unknown) => error,
  )

describe('an error of the bridge that Drizzle has wrapped is found', () => {
  test('after the end of the transaction', async () => {
    const tx = await app.orm.transaction((handle) => Promise.resolve(handle))
    const error = await reasonOf(tx.insert(notes).values({ text: 'a' }))
    expect(isSharedConnectionError(error)).toBe(true)
    expect(sharedConnectionErrorOf(error)?.name).toBe('TransactionClosedError')
  })

  test('where a statement was refused', async () => {
    await app.orm.transaction(async (tx) => {
      const error = await reasonOf(tx.execute(sql`commit`))
      expect(isSharedConnectionError(error)).toBe(true)
      expect(sharedConnectionErrorOf(error)?.name).toBe('ControlStatementError')
    })
    app.transcript.clear()
  })

  test('where a statement was skipped', async () => {
    const error = await reasonOf(
      app.orm.transaction(async (tx) => {
        const [, skipped] = await Promise.allSettled([
          tx.execute(sql`select 1/0`),
          tx.execute(sql`select 1`),
        ])
        expect(skipped?.status).toBe('rejected')
        const { reason } = skipped as PromiseRejectedResult
        expect(isSharedConnectionError(reason)).toBe(true)
        expect(sharedConnectionErrorOf(reason)).toBeInstanceOf(StatementSkippedError)
      }),
    )
    expect(sharedConnectionErrorOf(error)?.name).toBe('TransactionAbortedError')
  })
})

test('an error of PostgreSQL is none of the bridge, wrapped or not', async () => {
  const wrapped = await reasonOf(app.orm.execute(sql`select 1/0`))
  const bare = await reasonOf(app.pool.query('select 1/0'))
  for (const error of [
    wrapped,
    bare,
    undefined,
    'text',
    new Error('a', { cause: new Error('b') }),
  ]) {
    expect(isSharedConnectionError(error)).toBe(false)
    expect(sharedConnectionErrorOf(error)).toBeUndefined()
  }
})

test('an error that is its own cause ends the search', () => {
  const error = new Error('a')
  error.cause = error
  expect(isSharedConnectionError(error)).toBe(false)
})
