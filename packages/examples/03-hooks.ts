// Code that must wait for the end of the transaction, whichever layer has opened it.

import assert from 'node:assert/strict'
import { HookError } from 'shared-connection'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts } from './schema.ts'

await prepare()
let told: string[] = []

/** A module that speaks Kysely, and knows nothing of who calls it. */
async function signUp(email: string): Promise<void> {
  await db.insertInto('accounts').values({ email }).execute()
  // A mail cannot be taken back, so it waits until the row is there for everyone to see.
  await db.afterCommit(async () => {
    const [count] = await committed(`select count(*)::int from accounts where email = '${email}'`)
    told.push(`mail to ${email}, ${String(count)} row`)
  })
}

// Drizzle holds the transaction. The hooks of both run after its COMMIT, in their order.
await orm.transaction(async (tx) => {
  await shared.beforeCommit(() => void told.push('before'))
  await signUp('ada@example.com')
  await shared.of(tx).afterCommit(() => void told.push('after, registered on tx'))
  await shared.afterCompletion((outcome) => void told.push(outcome))
  told.push('end of block')
})
assert.deepEqual(told, [
  'end of block',
  'before',
  'mail to ada@example.com, 1 row',
  'after, registered on tx',
  'committed',
])

// A hook shares the fate of the block that it was registered in.
told = []
await db.transaction().execute(async () => {
  await signUp('grace@example.com')
  const nested = orm.transaction(async (tx) => {
    await signUp('nobody@example.com')
    await db.afterRollback(() => void told.push('nobody was taken back'))
    tx.rollback()
  })
  await assert.rejects(nested)
  told.push('the rest goes on')
})
assert.deepEqual(told, [
  'nobody was taken back',
  'the rest goes on',
  'mail to grace@example.com, 1 row',
])

// Outside a transaction there is nothing to wait for.
told = []
await signUp('joan@example.com')
assert.deepEqual(told, ['mail to joan@example.com, 1 row'])

// A hook that throws cannot undo what is committed. The caller learns both.
const late = orm.transaction(async (tx) => {
  await tx.insert(accounts).values({ email: 'mary@example.com' })
  await db.afterCommit(() => Promise.reject(new Error('the mail server is down')))
})
await assert.rejects(
  late,
  (error) =>
    error instanceof HookError && error.outcome === 'committed' && error.errors.length === 1,
)
assert.deepEqual(await committed('select email from accounts order by id desc limit 1'), [
  'mary@example.com',
])

await cleanUp(orm.$client)
