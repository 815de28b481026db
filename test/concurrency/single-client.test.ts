import { setImmediate } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Client } from 'pg'
import { type SharedConnection, shareConnection } from 'shared-connection'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp()
const make = (client: Client) => drizzle({ client })
let client: Client
let orm: ReturnType<typeof make>
let shared: SharedConnection<ReturnType<typeof make>>

beforeAll(async () => {
  client = new Client({ connectionString: app.url })
  await client.connect()
  orm = make(client)
  shared = shareConnection(orm)
})
afterAll(async () => {
  shared.dispose()
  await client.end()
})

test('whole transactions of both layers take turns on one client', async () => {
  const db = shared.kysely<Schema>()
  const results = await outcomes([
    orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await setImmediate()
      await db.insertInto('note').values({ text: 'b' }).execute()
    }),
    db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'c' }).execute()
      await setImmediate()
      await orm.insert(notes).values({ text: 'd' })
      throw new Error('boom')
    }),
    client.query('insert into note (text) values ($1)', ['e']),
  ])
  expect(results).toEqual(['kept', 'boom', 'kept'])
  expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'e'])
  const lines = app.transcript.lines()
  // a statement on its own takes its turn too, in the order in which they reach the client
  const at = lines.indexOf('insert e')
  expect(['commit', 'rollback']).toContain(lines[at - 1])
  expect(lines.toSpliced(at, 1)).toEqual([
    'begin',
    'insert a',
    'insert b',
    'commit',
    'begin',
    'insert c',
    'insert d',
    'rollback',
  ])
})

test(
  'what wants a second client inside a transaction is refused at once',
  { timeout: 2000 },
  async () => {
    const results = await outcomes([
      orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        await shared.transaction(({ tx: own }) => own.insert(notes).values({ text: 'b' }), {
          propagation: 'requires-new',
        })
      }),
    ])
    expect(results).not.toEqual(['kept'])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  },
)
