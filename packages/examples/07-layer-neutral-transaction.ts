// A block of the bridge has handles of both layers, options, and ways to roll back without an error.

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

// A dry run: the work is done, then rolled back, and the call resolves with the value of the block.
const imported = await shared.transaction(async ({ tx, frame }) => {
  frame.rollbackOnExit()
  return tx.insert(accounts).values({ email: 'trial@example.com' }).returning()
})
assert.equal(imported[0]?.email, 'trial@example.com')

/** Deep inside the program, where no frame is at hand, `Rollback` ends the block with a value. */
async function refuse(email: string): Promise<never> {
  await orm.insert(accounts).values({ email })
  throw new Rollback('refused')
}
assert.equal(await shared.transaction(() => refuse('trial@example.com')), 'refused')
assert.deepEqual(await committed('select email from accounts'), ['ada@example.com'])

// The propagation of a block, with the names of Spring, is its relation to the transaction around it.
const note = (entry: string) => orm.insert(audit).values({ entry })
const failed = new Error('no')

const outer = shared.transaction(async () => {
  await note('work')
  // A transaction on another connection: it commits, whatever happens around it.
  await shared.transaction(() => note('attempt'), { propagation: 'requires-new' })
  // This block joins the transaction around it.
  await shared.transaction(() => note('more work'), { propagation: 'required' })
  throw failed
})
await assert.rejects(outer, failed)
assert.deepEqual(await committed('select entry from audit'), ['attempt'])

// Use `mandatory` for code that needs a transaction, and `never` for code that must not run in one.
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
