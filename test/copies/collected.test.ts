import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Client, Pool } from 'pg'
import { shareConnection } from 'shared-connection'
import { expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'

const app = useApp()

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Shares what `drizzle` is made on, works with all layers, ends it, and keeps only a weak reference. */
async function shareAndEnd(made: Pool | Client): Promise<WeakRef<object>> {
  const orm = drizzle({ client: made as Pool })
  const shared = shareConnection(orm)
  await orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await shared.kysely<Schema>().selectFrom('note').selectAll().execute()
    await shared.afterCommit(() => {})
  })
  await made.query('delete from note')
  await made.end()
  return new WeakRef(made)
}

async function isCollected(reference: WeakRef<object>): Promise<boolean> {
  for (let round = 0; round < 50; round++) {
    await setImmediate()
    collect()
    if (reference.deref() === undefined) return true
  }
  return false
}

test('a pool that was shared and ended is collected', async () => {
  const reference = await shareAndEnd(new Pool({ connectionString: app.url }))
  expect(await isCollected(reference)).toBe(true)
})

test('so is a single client', async () => {
  const connect = async (): Promise<Client> => {
    const client = new Client(app.url)
    await client.connect()
    return client
  }
  const reference = await shareAndEnd(await connect())
  expect(await isCollected(reference)).toBe(true)
})

test('a Drizzle database on a pool that goes on is collected', async () => {
  const share = async (): Promise<WeakRef<object>> => {
    const orm = drizzle({ client: app.pool })
    shareConnection(orm)
    await orm.insert(notes).values({ text: 'a' })
    return new WeakRef(orm)
  }
  expect(await isCollected(await share())).toBe(true)
})
