// Kysely's controlled transactions have no callback: they end where you say so. So they cannot be
// the transaction "around" any code by themselves, and `within` says which code takes part.

import assert from 'node:assert/strict'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { audit, profiles } from './schema.ts'

await prepare()
const told: string[] = []

/** A module that speaks Drizzle through the global object. */
const addProfile = (account_id: number) => orm.insert(profiles).values({ account_id, name: 'Ada' })

const trx = await db.startTransaction().execute()
try {
  const { id } = await trx
    .insertInto('accounts')
    .values({ email: 'ada@example.com' })
    .returning('id')
    .executeTakeFirstOrThrow()

  // Nobody is inside it yet. Without `within`, the profile would go to another connection.
  assert.equal(db.inTransaction, false)
  assert.equal(trx.inTransaction, true)
  await shared.within(trx, () => addProfile(id))

  // A savepoint by hand, and Drizzle's work in it taken back.
  const extras = await trx.savepoint('extras').execute()
  await shared.within(extras, () => orm.insert(audit).values({ entry: 'never seen' }))
  await extras.rollbackToSavepoint('extras').execute()

  // Blocks of either layer nest in it like in any other.
  await shared.within(trx, () =>
    orm.transaction(async (tx) => {
      await tx.insert(audit).values({ entry: 'Ada has a profile' })
    }),
  )

  await trx.afterCommit(() => void told.push('after the commit'))
  assert.deepEqual(await committed('select email from accounts'), [])
  await trx.commit().execute() // COMMIT, then the hook, then this resolves
  told.push('commit() has resolved')
} catch (error) {
  if (!trx.isCommitted && !trx.isRolledBack) await trx.rollback().execute()
  throw error
}

assert.deepEqual(told, ['after the commit', 'commit() has resolved'])
assert.deepEqual(await committed('select email from accounts'), ['ada@example.com'])
assert.deepEqual(await committed('select name from profiles'), ['Ada'])
assert.deepEqual(await committed('select entry from audit'), ['Ada has a profile'])

await cleanUp(orm.$client)
