// A block that belongs to neither layer: handles of both, options, and ways out that throw nothing.

import assert from 'node:assert/strict'
import { PropagationError, Rollback } from 'shared-connection'
import { orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, audit } from './schema.ts'

await prepare()

const id = await shared.transaction(
  async ({ tx, trx }) => {
    const [account] = await tx.insert(accounts).values({ email: 'ada@example.com' }).returning()
    await trx.insertInto('profiles').values({ account_id: account!.id, name: 'Ada' }).execute()
    return account!.id
  },
  { isolationLevel: 'serializable' },
)
assert.deepEqual(await committed('select account_id from profiles'), [id])

// A dry run: the work is done and looked at, then rolled back, and the value is kept.
const imported = await shared.transaction(async ({ tx, frame }) => {
  frame.rollbackOnExit()
  return tx.insert(accounts).values({ email: 'trial@example.com' }).returning()
})
assert.equal(imported[0]?.email, 'trial@example.com')

/** Somewhere deep, where there is no frame at hand: `Rollback` ends the block with a value. */
async function refuse(email: string): Promise<never> {
  await orm.insert(accounts).values({ email })
  throw new Rollback('refused')
}
assert.equal(await shared.transaction(() => refuse('trial@example.com')), 'refused')
assert.deepEqual(await committed('select email from accounts'), ['ada@example.com'])

// Propagation, in the words of Spring: what a block does with the transaction around it.
const note = (entry: string) => orm.insert(audit).values({ entry })
const failed = new Error('no')

const outer = shared.transaction(async () => {
  await note('work')
  // Kept whatever happens around it: a transaction of its own, on another connection.
  await shared.transaction(() => note('attempt'), { propagation: 'requires-new' })
  // No transaction of its own: it works in this one.
  await shared.transaction(() => note('more work'), { propagation: 'required' })
  throw failed
})
await assert.rejects(outer, failed)
assert.deepEqual(await committed('select entry from audit'), ['attempt'])

// `mandatory` for code that is wrong outside a transaction, `never` for code that is wrong in one.
await assert.rejects(
  shared.transaction(() => note('alone'), { propagation: 'mandatory' }),
  PropagationError,
)
await shared.transaction(() =>
  assert.rejects(
    shared.transaction(() => note('inside'), { propagation: 'never' }),
    PropagationError,
  ),
)

await cleanUp(orm.$client)
