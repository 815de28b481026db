// One log for the statements of both layers, with the transaction and savepoint that each ran in.

import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import { CHANNELS, logQueries, type QueryEvent, type TransactionEvent } from 'shared-connection'
import { db, orm } from './database.ts'
import { cleanUp, prepare } from './observer.ts'
import { accounts, profiles } from './schema.ts'

await prepare()

// By default, `write` prints to standard output. `parameters: true` would print the values, which may be secrets.
const events: QueryEvent[] = []
const stop = logQueries({
  write(line, event) {
    console.log(line)
    events.push(event)
  },
})

// The log uses node:diagnostics_channel. Your own metrics and traces can use the same channels.
const outcomes: string[] = []
subscribe(`tracing:${CHANNELS.transaction}:asyncEnd`, (message) => {
  const { holder, outcome } = message as TransactionEvent
  outcomes.push(`${holder}: ${String(outcome)}`)
})

await orm.transaction(async (tx) => {
  const [account] = await tx.insert(accounts).values({ email: 'ada@example.com' }).returning()
  await db.transaction().execute(async (trx) => {
    await trx.insertInto('profiles').values({ account_id: account!.id, name: 'Ada' }).execute()
  })
  await db.selectFrom('profiles').select('name').execute()
})
await orm.select().from(profiles)
stop()

const statements = events
  .toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0)) // the order in which they left
  .map(({ layer, sql, depth }) => `${depth} ${layer} ${sql.split(' ', 1).join()}`)
assert.deepEqual(statements, [
  '1 drizzle begin',
  '1 drizzle insert',
  '2 kysely savepoint',
  '2 kysely insert',
  '2 kysely release',
  '1 kysely select',
  '1 drizzle commit',
  '0 drizzle select',
])
assert.deepEqual(outcomes, ['drizzle: committed'])

// BEGIN, SAVEPOINT and RELEASE were piggybacked on the next statement, so they cost no round trip.
const piggybacked = events.filter((event) => event.piggybacked).map((event) => event.control)
assert.deepEqual(new Set(piggybacked), new Set(['begin', 'savepoint', 'release']))

// The events contain the server's process id. It is the same for all of them.
assert.equal(new Set(events.map((event) => event.processID)).size, 1)

await cleanUp(orm.$client)
