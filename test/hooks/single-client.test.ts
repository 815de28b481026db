import { drizzle } from 'drizzle-orm/node-postgres'
import { Client } from 'pg'
import { type SharedConnection, shareConnection } from 'shared-connection'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Schema, useApp } from '../setup/app.ts'

const app = useApp()

const boom = new Error('boom')

/** An application on one client: a pool of one. */
function make(client: Client) {
  const orm = drizzle({ client })
  const shared = shareConnection(orm)
  return { orm, shared: shared as SharedConnection, db: shared.kysely<Schema>() }
}

let client: Client
let one: ReturnType<typeof make>
beforeAll(async () => {
  client = new Client({ connectionString: app.url })
  await client.connect()
  one = make(client)
})
afterAll(async () => {
  one.shared.dispose()
  await client.end()
})

test('hooks on a single client can query and open transactions', async () => {
  const ran: string[] = []
  await one.orm.transaction(async () => {
    await one.db.insertInto('note').values({ text: 'a' }).execute()
    await one.db.afterCommit(async () => {
      await one.db.insertInto('note').values({ text: 'of the hook' }).execute()
      await one.db.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'in a transaction' }).execute()
      })
      ran.push('commit')
    })
  })
  expect(ran).toEqual(['commit'])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'commit',
    'insert of the hook',
    'begin',
    'insert in a transaction',
    'commit',
  ])
  expect(await app.rows()).toEqual(['a', 'of the hook', 'in a transaction'])
})

test('transactions that wait for the client begin before or after the hooks, never inside', async () => {
  const ran: string[] = []
  const run = (text: string, fails: boolean) =>
    one.db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text }).execute()
      await trx.afterCommit(() => void ran.push(`commit ${text}`))
      await trx.afterRollback(() => void ran.push(`rollback ${text}`))
      if (fails) throw boom
    })
  await Promise.allSettled([run('a', false), run('b', true), run('c', false)])
  expect(ran.toSorted()).toEqual(['commit a', 'commit c', 'rollback b'])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'commit',
    'begin',
    'insert b',
    'rollback',
    'begin',
    'insert c',
    'commit',
  ])
  expect(await app.rows()).toEqual(['a', 'c'])
})
