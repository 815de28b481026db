// One log for the statements of both layers, with the transaction and savepoint that each ran in.

import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import { CHANNELS, logQueries, type QueryEvent, type TransactionEvent } from 'shared-connection'
import { db, orm } from './database.ts'
import { cleanUp, prepare } from './observer.ts'
import { accounts, profiles } from './schema.ts'

await prepare()

// Left out, `write` is standard output. `parameters: true` would print the values: they may be secrets.
const events: QueryEvent[] = []
const stop = logQueries({
  write(line, event) {
    console.log(line)
    events.push(event)
  },
})

// The log is made from node:diagnostics_channel, which is there for metrics and traces of your own.
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

const told = events
  .toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0)) // the order in which they left
  .map(({ layer, sql, depth }) => `${depth} ${layer} ${sql.split(' ', 1).join()}`)
assert.deepEqual(told, [
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

// BEGIN, SAVEPOINT and RELEASE rode in front of the next statement: they cost no round trip.
const piggybacked = events.filter((event) => event.piggybacked).map((event) => event.control)
assert.deepEqual(new Set(piggybacked), new Set(['begin', 'savepoint', 'release']))

// The server's own name for the connection is in the log too, and it is one and the same.
assert.equal(new Set(events.map((event) => event.processID)).size, 1)

await cleanUp(orm.$client)
