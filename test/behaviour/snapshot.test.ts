import { sql } from 'kysely'
import { describe, expect, inject, test } from 'vitest'
import { type App, notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const app = useApp()
const SNAPSHOT = "set transaction snapshot '00000003-0000001B-1'"

type WithSnapshot = (fn: () => Promise<unknown>, config: { snapshot: string }) => Promise<unknown>

/** The ways to request a snapshot in a savepoint, which cannot have its own. */
const ways: { name: string; ask: (app: App) => Promise<unknown> }[] = [
  {
    name: 'a manual command',
    ask: ({ db, orm }) => orm.transaction(() => sql.raw(SNAPSHOT).execute(db)),
  },
  {
    name: 'by tx.transaction(), whose options Drizzle ignores',
    ask: ({ shared }) =>
      shared.transaction(({ tx }) => {
        const withSnapshot = tx.transaction.bind(tx) as unknown as WithSnapshot
        return withSnapshot(() => Promise.resolve(), { snapshot: 'x' })
      }),
  },
]

if (inject('combination').drizzle.version === '1.0') {
  ways.push({
    name: 'by orm.transaction()',
    ask: ({ orm }) => {
      const withSnapshot = orm.transaction.bind(orm) as unknown as WithSnapshot
      return withSnapshot(() => Promise.resolve(), { snapshot: 'x' })
    },
  })
}

describe('a snapshot in a savepoint', () => {
  test.each(ways)('$name is refused before any SQL', async ({ ask }) => {
    const failure = await failureOf(
      app.db.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'a' }).execute()
        await ask(app)
      }),
    )
    expect(failure.name).toBe('TransactionOptionError')
    expect(failure.message).toMatch(/snapshot/)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })
})

test('a transaction can import a snapshot at its start', async () => {
  await app.orm.insert(notes).values({ text: 'before' })
  const holder = await app.observer.connect()
  try {
    await holder.query('begin isolation level repeatable read')
    const { rows } = await holder.query<{ id: string }>('select pg_export_snapshot() as id')
    await app.orm.insert(notes).values({ text: 'after' })
    const seen = await app.db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (trx) => {
        await sql.raw(`set transaction snapshot '${rows[0]?.id}'`).execute(trx)
        return trx.selectFrom('note').select('text').execute()
      })
    expect(seen).toEqual([{ text: 'before' }])
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  expect(await app.rows()).toEqual(['before', 'after'])
})
