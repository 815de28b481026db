// Kysely's controlled transactions have no callback: `commit()` and `rollback()` end them. So they are
// not around any code by themselves, and `within` makes code take part.

import assert from 'node:assert/strict'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { audit, profiles } from './schema.ts'

await prepare()
const messages: string[] = []

/** A module that uses Drizzle through the global object. */
const addProfile = (account_id: number) => orm.insert(profiles).values({ account_id, name: 'Ada' })

const trx = await db.startTransaction().execute()
try {
  const { id } = await trx
    .insertInto('accounts')
    .values({ email: 'ada@example.com' })
    .returning('id')
    .executeTakeFirstOrThrow()

  // No code is inside it yet. Without `within`, the profile would use another connection.
  assert.equal(db.inTransaction, false)
  assert.equal(trx.inTransaction, true)
  await shared.within(trx, () => addProfile(id))

  // Drizzle works in a manual savepoint, and its work is rolled back.
  const extras = await trx.savepoint('extras').execute()
  await shared.within(extras, () => orm.insert(audit).values({ entry: 'never seen' }))
  await extras.rollbackToSavepoint('extras').execute()

  // Blocks of either layer nest in it, as in any transaction.
  await shared.within(trx, () =>
    orm.transaction(async (tx) => {
      await tx.insert(audit).values({ entry: 'Ada has a profile' })
    }),
  )

  await trx.afterCommit(() => void messages.push('after the commit'))
  assert.deepEqual(await committed('select email from accounts'), [])
  await trx.commit().execute() // COMMIT, then the hook, then this resolves
  messages.push('commit() has resolved')
} catch (error) {
  if (!trx.isCommitted && !trx.isRolledBack) await trx.rollback().execute()
  throw error
}

assert.deepEqual(messages, ['after the commit', 'commit() has resolved'])
assert.deepEqual(await committed('select email from accounts'), ['ada@example.com'])
assert.deepEqual(await committed('select name from profiles'), ['Ada'])
assert.deepEqual(await committed('select entry from audit'), ['Ada has a profile'])

await cleanUp(orm.$client)
