import { drizzle } from 'drizzle-orm/node-postgres'
import { CamelCasePlugin, Kysely, PostgresDialect, type Transaction } from 'kysely'
import type { PoolClient } from 'pg'
import { type SharedConnection, type SharedKysely, shareConnection } from 'shared-connection'
import 'shared-connection/register'
import { expectTypeOf } from 'vitest'

interface Schema {
  note: { id: number; text: string }
}

const orm = drizzle('postgres://localhost/app')
const plain = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: orm.$client }) })
const db = plain.extension('shared-connection', { drizzle: orm })

// The user's schema survives, here and in all that is derived.
expectTypeOf(db).toEqualTypeOf<SharedKysely<Schema, typeof orm>>()
expectTypeOf(db.selectFrom('note').select('text').execute()).resolves.toEqualTypeOf<
  { text: string }[]
>()
expectTypeOf(
  db.withSchema('public').selectFrom('note').select('id').execute(),
).resolves.toEqualTypeOf<{ id: number }[]>()
expectTypeOf(db.withPlugin(new CamelCasePlugin()).shared).toEqualTypeOf<
  SharedConnection<typeof orm, Schema>
>()
const wider = db.withTables<{ reply: { body: string } }>()
expectTypeOf(wider.selectFrom('reply').select('body').execute()).resolves.toEqualTypeOf<
  { body: string }[]
>()
expectTypeOf(wider.inTransaction).toEqualTypeOf<boolean>()

// It is a Kysely wherever one is asked for, and its transaction is a transaction.
expectTypeOf(db).toExtend<Kysely<Schema>>()
declare function repository(trx: Transaction<Schema>): Promise<void>
declare function anyKysely(kysely: Kysely<Schema>): Promise<void>
export const nested = db.transaction().execute(async (trx) => {
  await repository(trx)
  await anyKysely(trx)
  await trx.afterCommit(() => undefined)
  expectTypeOf(
    trx.withSchema('public').selectFrom('note').select('text').execute(),
  ).resolves.toEqualTypeOf<{ text: string }[]>()
  // A transaction nests, on Kysely 0.29 too, which types it as never.
  return trx.transaction().execute(async (inner) => {
    await repository(inner)
    return 7
  })
})
expectTypeOf(nested).resolves.toEqualTypeOf<number>()

export async function controlled(): Promise<void> {
  const trx = await db.startTransaction().setIsolationLevel('serializable').execute()
  const marked = await trx.savepoint('mark').execute()
  await marked.afterRollback(() => undefined)
  await marked.rollbackToSavepoint('mark').execute()
  // @ts-expect-error there is no such savepoint
  await marked.releaseSavepoint('other').execute()
  await trx.commit().execute()
}

// @ts-expect-error a database is no transaction
export const mistaken = repository(db)
// @ts-expect-error there is no such table
db.selectFrom('reply')
// @ts-expect-error there is no such extension
plain.extension('shared-conection', { drizzle: orm })
// @ts-expect-error there is no such option
plain.extension('shared-connection', { drizzle: orm, nest: true })
// @ts-expect-error not a Drizzle database
plain.extension('shared-connection', { drizzle: 'orm' })
// @ts-expect-error a hook is a function
void db.afterCommit('hook')
// @ts-expect-error there is no such scope
void db.afterCommit(() => undefined, { scope: 'database' })

const shared = shareConnection(orm)
expectTypeOf(shared.kysely<Schema>()).toEqualTypeOf<SharedKysely<Schema, typeof orm>>()
expectTypeOf(shared.current?.frames).toExtend<readonly { layer: string }[] | undefined>()
void shared.withClient(async (client) => {
  expectTypeOf(client).toEqualTypeOf<PoolClient>()
})
// @ts-expect-error Drizzle's pool is not Kysely's to choose
shared.kysely<Schema>({ pool: orm.$client })

export async function marks(): Promise<void> {
  const trx = await db.startTransaction().execute()
  const one = await trx.savepoint('one').execute()
  const two = await one.savepoint('two').execute()
  const back = await two.rollbackToSavepoint('two').execute()
  await back.afterCommit(() => undefined)
  const released = await back.releaseSavepoint('one').execute()
  await released.afterCommit(() => undefined)
  // @ts-expect-error it was released
  await released.rollbackToSavepoint('two').execute()
  await released.rollback().execute()
}

export async function batches(): Promise<void> {
  const [rows, written] = await shared.batch([
    db.selectFrom('note').select('text'),
    db.updateTable('note').set({ text: 'a' }),
  ])
  expectTypeOf(rows).toEqualTypeOf<{ text: string }[]>()
  expectTypeOf(written[0]?.numUpdatedRows).toEqualTypeOf<bigint | undefined>()
  // @ts-expect-error a builder that was executed is a promise
  await shared.batch([db.selectFrom('note').selectAll().execute()])
  // @ts-expect-error no builder
  await shared.batch(['select 1'])
}

export async function limits(): Promise<void> {
  await shared.transaction(({ signal }) => expectTypeOf(signal).toEqualTypeOf<AbortSignal>(), {
    timeout: 100,
    retry: { limit: 2, onRetry: (_, repetition) => expectTypeOf(repetition).toBeNumber() },
  })
  // @ts-expect-error there may be no transaction to limit
  await shared.transaction(() => undefined, { propagation: 'never', timeout: 100 })
  // @ts-expect-error milliseconds
  await shared.transaction(() => undefined, { timeout: '100' })
}

// A misspelt option is one error, on its own line.
export const misspelt = () =>
  plain.extension('shared-connection', {
    drizzle: orm,
    // @ts-expect-error -- there is no such option
    lasy: true,
  })
export const isolated = () =>
  db.shared.transaction(() => 1, {
    // @ts-expect-error -- there is no such option
    isolation: 'serializable',
  })
export const limited = () =>
  db.shared.transaction(() => 1, {
    propagation: 'supports',
    // @ts-expect-error -- without a transaction there is nothing to limit
    timeout: 5,
  })
expectTypeOf(db.shared.transaction(({ frame }) => frame.depth)).resolves.toEqualTypeOf<number>()
expectTypeOf(
  db.shared.transaction(({ frame }) => frame?.depth, { propagation: 'supports' }),
).resolves.toEqualTypeOf<number | undefined>()
