// A row that Drizzle has just inserted, and a row of Kysely's that refers to it, in one transaction.

import assert from 'node:assert/strict'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, type Database } from './schema.ts'

await prepare()

// --- the first lines of the README, as they stand there
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
// --- the end of the first lines of the README

// PostgreSQL notes on each row, as `xmin`, which transaction has written it.
const sameTransaction = await committed(
  'select accounts.xmin = profiles.xmin from accounts join profiles on account_id = accounts.id',
)
assert.deepEqual(sameTransaction, [true])

// One connection did it all.
assert.equal(orm.$client.totalCount, 1)

// A failure takes back what both have written. Without the bridge the profile would have stayed.
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
