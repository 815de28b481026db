// Hooks run code after the end of the transaction, whichever layer has opened it.

import assert from 'node:assert/strict'
import { HookError } from 'shared-connection'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts } from './schema.ts'

await prepare()
let messages: string[] = []

/** A module that uses Kysely, and does not know its callers. */
async function signUp(email: string): Promise<void> {
  await db.insertInto('accounts').values({ email }).execute()
  // A mail cannot be rolled back, so it waits until the row is committed.
  await db.afterCommit(async () => {
    const [count] = await committed(`select count(*)::int from accounts where email = '${email}'`)
    messages.push(`mail to ${email}, ${String(count)} row`)
  })
}

// Drizzle opens the transaction. The hooks of both layers run after its COMMIT, in their order.
await orm.transaction(async (tx) => {
  await shared.beforeCommit(() => void messages.push('before'))
  await signUp('ada@example.com')
  await shared.of(tx).afterCommit(() => void messages.push('after, registered on tx'))
  await shared.afterCompletion((outcome) => void messages.push(outcome))
  messages.push('end of block')
})
assert.deepEqual(messages, [
  'end of block',
  'before',
  'mail to ada@example.com, 1 row',
  'after, registered on tx',
  'committed',
])

// If a block is rolled back, its afterCommit hooks are dropped and its afterRollback hooks run.
messages = []
await db.transaction().execute(async () => {
  await signUp('grace@example.com')
  const nested = orm.transaction(async (tx) => {
    await signUp('nobody@example.com')
    await db.afterRollback(() => void messages.push('nobody was rolled back'))
    tx.rollback()
  })
  await assert.rejects(nested)
  messages.push('the rest goes on')
})
assert.deepEqual(messages, [
  'nobody was rolled back',
  'the rest goes on',
  'mail to grace@example.com, 1 row',
])

// Outside a transaction, afterCommit hooks run at once.
messages = []
await signUp('joan@example.com')
assert.deepEqual(messages, ['mail to joan@example.com, 1 row'])

// A hook that throws cannot undo the commit. The error contains both facts.
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
