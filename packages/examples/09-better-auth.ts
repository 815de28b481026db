// Better Auth stores its users through Kysely. Here its sign-up is part of a Drizzle transaction of the
// application: the user, the password, the session and the membership are all stored, or none of them.

import assert from 'node:assert/strict'
import { betterAuth, type BetterAuthOptions } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { drizzle } from 'drizzle-orm/node-postgres'
import { pgTable, text } from 'drizzle-orm/pg-core'
import { shareConnection } from 'shared-connection'

const orm = drizzle(process.env.DATABASE_URL!)
const shared = shareConnection(orm)
const memberships = pgTable('memberships', {
  user_id: text().primaryKey(),
  plan: text().notNull(),
})

const welcomed: string[] = []
const options = {
  database: { db: shared.kysely(), type: 'postgres', transaction: true },
  emailAndPassword: { enabled: true },
  databaseHooks: {
    user: {
      create: {
        // Better Auth calls this when its own part is done. The mail waits for the whole transaction.
        after: ({ name }) => shared.afterCommit(() => void welcomed.push(name)),
      },
    },
  },
  baseURL: 'http://localhost:3000',
  secret: 'nothing to hide here, but thirty-two characters',
  telemetry: { enabled: false },
  logger: { disabled: true },
} satisfies BetterAuthOptions

// Better Auth's migrations make its tables. Then comes a table of the application that refers to them.
const migrations = await getMigrations(options)
await migrations.runMigrations()
await orm.execute(
  'create table memberships (user_id text primary key references "user", plan text not null)',
)

const auth = betterAuth(options)
// The plain pool takes part, too, and so does any library that uses it.
const poolAuth = betterAuth({ ...options, database: orm.$client })

async function join(by: typeof auth | typeof poolAuth, name: string, plan: string): Promise<void> {
  await orm.transaction(async (tx) => {
    const account = { name, email: `${name}@example.com`, password: 'correct horse' }
    const { user } = await by.api.signUpEmail({ body: account })
    await tx.insert(memberships).values({ user_id: user.id, plan })
    // The foreign key holds, and a failure rolls back the rows of Better Auth, too.
    if (plan === 'gold') throw new Error('the card was declined')
  })
}

const declined = { message: 'the card was declined' }
await join(auth, 'ada', 'silver')
await assert.rejects(join(auth, 'bob', 'gold'), declined)
await join(poolAuth, 'grace', 'bronze')
await assert.rejects(join(poolAuth, 'carl', 'gold'), declined)

const { rows } = await orm.$client.query(
  'select name, plan from "user" left join memberships on user_id = "user".id order by name',
)
assert.deepEqual(rows, [
  { name: 'ada', plan: 'silver' },
  { name: 'grace', plan: 'bronze' },
])
for (const table of ['account', 'session']) {
  const { rowCount } = await orm.$client.query(`select from ${table}`)
  assert.equal(rowCount, 2, table)
}
assert.deepEqual(welcomed, ['ada', 'grace'])

// A user who has joined can sign in. A user who was rolled back is unknown, and can sign up again.
const signIn = (name: string) =>
  auth.api.signInEmail({ body: { email: `${name}@example.com`, password: 'correct horse' } })
assert.equal((await signIn('ada')).user.name, 'ada')
await assert.rejects(signIn('bob'), { status: 'UNAUTHORIZED' })
await join(auth, 'bob', 'silver')

await orm.execute('drop table memberships, session, account, verification, "user"')
await orm.$client.end()
