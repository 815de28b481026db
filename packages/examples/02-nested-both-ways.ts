// Blocks nest in any order. The outermost is the transaction, and each one inside it a savepoint.

import assert from 'node:assert/strict'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, audit } from './schema.ts'

await prepare()

// Drizzle outside, Kysely inside it, and Drizzle inside that.
await orm.transaction(async (tx) => {
  await tx.insert(accounts).values({ email: 'ada@example.com' })

  await db.transaction().execute(async (trx) => {
    await trx.insertInto('audit').values({ entry: 'ada, by Kysely' }).execute()
    // The global object takes part too: no handle has to be passed to whoever calls this.
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

// Kysely outside. What fails inside costs the inner work alone, of whichever layer it is.
await db.transaction().execute(async (trx) => {
  await trx.insertInto('accounts').values({ email: 'grace@example.com' }).execute()

  const nested = orm.transaction(async (tx) => {
    await tx.insert(audit).values({ entry: 'never seen' })
    await trx.insertInto('audit').values({ entry: 'not this either' }).execute()
    await tx.insert(accounts).values({ email: 'ada@example.com' }) // there is one already
  })
  await assert.rejects(nested, /accounts_email_unique|insert into "accounts"/)

  // A transaction of the bridge nests where Kysely's own would throw.
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
