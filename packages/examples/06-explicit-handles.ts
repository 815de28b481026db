// This is for programs that pass handles, and for code that runs in another async context than its caller.

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import type { DrizzleTransaction, SharedTransaction } from 'shared-connection'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, audit, type Database, profiles } from './schema.ts'

await prepare()
const messages: string[] = []

// Each of these modules takes the handle of its own layer.
const addAccount = (trx: SharedTransaction<Database>, email: string) =>
  trx.insertInto('accounts').values({ email }).returning('id').executeTakeFirstOrThrow()
const addProfile = (tx: DrizzleTransaction<typeof orm>, account_id: number, name: string) =>
  tx.insert(profiles).values({ account_id, name })

// `kyselyFor` returns Kysely's handle for that of Drizzle.
await orm.transaction(async (tx) => {
  const { id } = await addAccount(shared.kyselyFor(tx), 'ada@example.com')
  await addProfile(tx, id, 'Ada')
})

// `drizzleFor` returns Drizzle's handle for that of Kysely.
await db.transaction().execute(async (trx) => {
  const { id } = await addAccount(trx, 'grace@example.com')
  await addProfile(shared.drizzleFor(trx), id, 'Grace')
})
assert.deepEqual(await committed('select name from profiles order by id'), ['Ada', 'Grace'])

// A worker or a batching loader runs its jobs in the async context in which it was created.
const inTheWorker = AsyncLocalStorage.snapshot()

await orm.transaction(async (tx) => {
  await tx.insert(accounts).values({ email: 'joan@example.com' })

  await inTheWorker(async () => {
    assert.equal(shared.inTransaction, false)
    // `within` runs the job in the transaction of the handle …
    await shared.within(tx, async () => {
      assert.equal(shared.inTransaction, true)
      await db.insertInto('audit').values({ entry: 'by the worker' }).execute()
    })
    // … `on` registers a hook on it, and `of` returns its frame.
    await db.afterCommit(() => void messages.push('joan is there'), { on: tx })
    assert.equal(shared.of(tx).state, 'open')
  })

  // `outside` leaves the transaction: this row stays, whatever the outcome of the transaction is.
  await shared.outside(() => orm.insert(audit).values({ entry: 'an attempt' }))
  assert.deepEqual(await committed('select entry from audit'), ['an attempt'])
})
assert.deepEqual(messages, ['joan is there'])
assert.deepEqual(await committed('select entry from audit order by id'), [
  'by the worker',
  'an attempt',
])

await cleanUp(orm.$client)
