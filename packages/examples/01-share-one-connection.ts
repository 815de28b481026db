// Drizzle inserts a row, and Kysely a row that refers to it, in one transaction.

import assert from 'node:assert/strict'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, type Database } from './schema.ts'

await prepare()

// --- The first program of the README begins here.
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import 'shared-connection/register'

const orm = drizzle(process.env.DATABASE_URL!)
const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: orm.$client }) })
  .extension('shared-connection', { drizzle: orm })

await orm.transaction(async (tx) => {                       // BEGIN
  const [account] = await tx.insert(accounts).values({ email: 'ada@example.com' }).returning()
  await db.insertInto('profiles').values({ account_id: account!.id }).execute()   // same transaction
})                                                          // COMMIT
// --- The first program of the README ends here.

// The system column `xmin` of each row is the id of the transaction that has written it.
const sameTransaction = await committed(
  'select accounts.xmin = profiles.xmin from accounts join profiles on account_id = accounts.id',
)
assert.deepEqual(sameTransaction, [true])

// All statements used one connection.
assert.equal(orm.$client.totalCount, 1)

// A failure rolls back the rows of both layers. Without the bridge, the profile would have stayed.
const failure = new Error('the mail server is down')
await assert.rejects(
  orm.transaction(async (tx) => {
    await tx.insert(accounts).values({ email: 'grace@example.com' })
    await db.insertInto('profiles').values({ account_id: 1, name: 'a second one' }).execute()
    throw failure
  }),
  failure,
)
assert.deepEqual(await committed('select email from accounts'), ['ada@example.com'])
assert.deepEqual(await committed('select name from profiles'), [null])

await cleanUp(orm.$client)
