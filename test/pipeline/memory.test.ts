import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { sql } from 'kysely'
import { sql as drizzleSql } from 'drizzle-orm'
import { note, useRecordedApp } from '../setup/recorded-app.ts'

const { app } = useRecordedApp()

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Whether the referents are gone after several full collections. */
async function areCollected(references: readonly WeakRef<object>[]): Promise<boolean> {
  for (let round = 0; round < 20; round++) {
    await setImmediate()
    collect()
    if (references.every((reference) => reference.deref() === undefined)) return true
  }
  return false
}

/** Asks for rows, and gives only weak references to the answers. */
async function answers(): Promise<WeakRef<object>[]> {
  const results = await Promise.all([
    note(app, 'a'),
    app.pool.query('select repeat($1, 1000) from generate_series(1, 100)', ['x']),
    app.pool.query('select 1'),
  ])
  return results.map(({ rows }) => new WeakRef(rows))
}

test('the rows of statements that left together are free while their transaction goes on', async () => {
  await app.shared.transaction(async () => {
    const references = await answers()
    // the client keeps its last query
    await app.pool.query('select 2')
    expect(await areCollected(references)).toBe(true)
  })
})

test('the rows in front of an error are free, too', async () => {
  await app.shared
    .transaction(async () => {
      const references = await answers()
      const failing = app.pool.query('select 1 / 0').catch(() => undefined)
      await Promise.all([failing, app.pool.query('select 1').catch(() => undefined)])
      expect(await areCollected(references)).toBe(true)
    })
    .catch((error: Error) => expect(error.name).toBe('TransactionAbortedError'))
})

const many = "select repeat('x', 1000) as text from generate_series(1, 100)"

/** Statements that leave alone, through each layer. */
const asks = [
  { name: 'pg', ask: async () => (await app.pool.query(many)).rows },
  { name: 'Drizzle', ask: async () => (await app.orm.execute(drizzleSql.raw(many))).rows },
  { name: 'Kysely', ask: async () => (await sql.raw(many).execute(app.db)).rows },
]

describe.each(asks)('the rows of a statement of $name', ({ ask }) => {
  const askWeakly = async (): Promise<WeakRef<object>[]> => [new WeakRef(await ask())]
  const next = () => app.pool.query('select 2')

  test('are free while its transaction goes on', async () => {
    await app.shared.transaction(async () => {
      // the first takes BEGIN along, the second is alone
      for (let count = 0; count < 2; count++) {
        const references = await askWeakly()
        await next()
        expect(await areCollected(references)).toBe(true)
      }
    })
  })

  test('are free outside a transaction', async () => {
    const references = await askWeakly()
    // the clients keep their last query
    await Promise.all(Array.from({ length: app.pool.totalCount }, next))
    expect(await areCollected(references)).toBe(true)
  })
})
