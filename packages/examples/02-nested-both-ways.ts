// Blocks nest in any order. The outermost one is the transaction, and each one inside it is a savepoint.

import assert from 'node:assert/strict'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, audit } from './schema.ts'

await prepare()

// Drizzle is outside, Kysely is inside it, and Drizzle is inside that.
await orm.transaction(async (tx) => {
  await tx.insert(accounts).values({ email: 'ada@example.com' })

  await db.transaction().execute(async (trx) => {
    await trx.insertInto('audit').values({ entry: 'ada, by Kysely' }).execute()
    // The global object takes part, too, so no handle has to be passed around.
    await orm.insert(audit).values({ entry: 'ada, by Drizzle' })

    await orm.transaction(async () => {
      await db.insertInto('audit').values({ entry: 'ada, three deep' }).execute()
      assert.equal(shared.current?.depth, 3)
      assert.equal(shared.current.holder, 'drizzle')
    })
  })
})
assert.deepEqual(await committed('select entry from audit order by id'), [
  'ada, by Kysely',
  'ada, by Drizzle',
  'ada, three deep',
])

// Kysely is outside. A failure inside rolls back only the inner work, of either layer.
await db.transaction().execute(async (trx) => {
  await trx.insertInto('accounts').values({ email: 'grace@example.com' }).execute()

  const nested = orm.transaction(async (tx) => {
    await tx.insert(audit).values({ entry: 'never seen' })
    await trx.insertInto('audit').values({ entry: 'not this either' }).execute()
    await tx.insert(accounts).values({ email: 'ada@example.com' }) // fails: it exists already
  })
  await assert.rejects(nested, /accounts_email_unique|insert into "accounts"/)

  // `trx.transaction()` is a savepoint. Without the bridge, Kysely throws here.
  await trx.transaction().execute(async (inner) => {
    await inner.insertInto('audit').values({ entry: 'grace, after all' }).execute()
  })
})
assert.deepEqual(await committed('select email from accounts order by id'), [
  'ada@example.com',
  'grace@example.com',
])
assert.deepEqual(await committed('select entry from audit order by id desc limit 1'), [
  'grace, after all',
])

await cleanUp(orm.$client)
