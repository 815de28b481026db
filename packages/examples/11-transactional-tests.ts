// These tests leave no rows behind: each runs in a transaction that is rolled back at its end, and the
// transactions of the application are savepoints in it.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts } from './schema.ts'

/** The application opens a transaction as it always does. It does not know about the tests. */
async function signUp(email: string): Promise<void> {
  await orm.transaction(async (tx) => {
    const [account] = await tx.insert(accounts).values({ email }).returning()
    await db.insertInto('profiles').values({ account_id: account!.id, name: email }).execute()
  })
}

/** Runs a test in a transaction, and rolls it back. */
const rolledBack = (body: () => Promise<void>) => () =>
  shared.transaction(async ({ frame }) => {
    frame.rollbackOnExit()
    await body()
  })

before(() => prepare())

await test(
  'signing up makes a profile',
  rolledBack(async () => {
    await signUp('ada@example.com')
    const profiles = await db.selectFrom('profiles').select('name').execute()
    assert.deepEqual(profiles, [{ name: 'ada@example.com' }])
  }),
)

await test(
  'an address can sign up once',
  rolledBack(async () => {
    // The previous test has used the same address, and its rows are gone.
    await signUp('ada@example.com')
    // The failure rolls back to the application's own savepoint. The test goes on.
    await assert.rejects(signUp('ada@example.com'))
    assert.equal(await orm.$count(accounts), 1)
  }),
)

after(async () => {
  assert.deepEqual(await committed('select email from accounts'), [])
  await cleanUp(orm.$client)
})
