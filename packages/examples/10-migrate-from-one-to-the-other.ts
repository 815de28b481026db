// An application moves from Kysely to Drizzle, one repository at a time. It works after every step, and
// its transactions remain atomic.

import assert from 'node:assert/strict'
import { db, orm } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, profiles } from './schema.ts'

await prepare()

interface Repositories {
  readonly addAccount: (email: string) => Promise<number>
  readonly addProfile: (accountId: number, name: string) => Promise<void>
  readonly transaction: <T>(work: () => Promise<T>) => Promise<T>
}

const before: Repositories = {
  async addAccount(email) {
    const row = db.insertInto('accounts').values({ email }).returning('id')
    return (await row.executeTakeFirstOrThrow()).id
  },
  async addProfile(account_id, name) {
    await db.insertInto('profiles').values({ account_id, name }).execute()
  },
  transaction: (work) => db.transaction().execute(work),
}

const after: Repositories = {
  async addAccount(email) {
    const [row] = await orm.insert(accounts).values({ email }).returning({ id: accounts.id })
    return row!.id
  },
  async addProfile(account_id, name) {
    await orm.insert(profiles).values({ account_id, name })
  },
  transaction: (work) => orm.transaction(work),
}

/** The work of the application. The move does not change it. */
async function signUp(app: Repositories, name: string): Promise<void> {
  await app.transaction(async () => {
    const id = await app.addAccount(`${name}@example.com`)
    await app.addProfile(id, name)
  })
}

const { addAccount, addProfile, transaction } = after
const steps: Record<string, Repositories> = {
  kysely: before,
  'profiles-moved': { ...before, addProfile },
  'accounts-moved': { ...before, addProfile, addAccount },
  drizzle: { transaction, addProfile, addAccount },
  // It works after a step back, too.
  'accounts-back': { ...after, addAccount: before.addAccount },
}

for (const [step, app] of Object.entries(steps)) {
  await signUp(app, step)

  // The account exists already, so this fails and leaves nothing behind.
  await assert.rejects(signUp(app, step))
  const broken = { ...app, addProfile: () => Promise.reject(new Error('no')) }
  await assert.rejects(signUp(broken, `${step}-broken`), { message: 'no' })
}

const names = Object.keys(steps)
assert.deepEqual(await committed('select name from profiles order by id'), names)
const sameTransaction = await committed(
  'select accounts.xmin = profiles.xmin from accounts join profiles on account_id = accounts.id',
)
assert.deepEqual(
  sameTransaction,
  names.map(() => true),
)

await cleanUp(orm.$client)
