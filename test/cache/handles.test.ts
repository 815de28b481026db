import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Pool } from 'pg'
import { shareConnection } from 'shared-connection'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { MemoryCache } from '../setup/memory-cache.ts'

const app = useApp()
const cache = new MemoryCache('all')

// A controlled transaction is never ambient, so only its handle leads to it.
let made: ReturnType<typeof make>

function make() {
  const pool = new Pool({ connectionString: app.url })
  const orm = drizzle({ client: pool, cache })
  const shared = shareConnection(orm)
  const texts = (from: Pick<typeof orm, 'select'>) =>
    from.select({ text: notes.text }).from(notes).orderBy(notes.id)
  return { pool, orm, shared, db: shared.kysely<Schema>(), texts }
}

beforeAll(() => {
  made = make()
})
beforeEach(async () => {
  cache.clear()
  expect(await made.texts(made.orm)).toEqual([])
  cache.calls = []
  app.transcript.clear()
})
afterAll(async () => {
  made.shared.dispose()
  await made.pool.end()
})

test('a handle outside its scope neither reads nor fills the cache', async () => {
  const { db, orm, shared, texts } = made
  const trx = await db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  const seen = await texts(shared.drizzleFor(trx))
  await trx.rollback().execute()
  expect(seen).toEqual([{ text: 'a' }])
  expect(cache.calls).toEqual([])
  expect(await texts(orm)).toEqual([])
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
})

type Write = (orm: (typeof made)['orm']) => PromiseLike<unknown>

const writes: readonly [string, Write][] = [
  ['built', (orm) => orm.insert(notes).values({ text: 'a' })],
  ['raw', (orm) => orm.execute(sql`insert into note (text) values (${'a'})`)],
]

test.each(writes)(
  'the tables that it has written to, %s, are invalidated after COMMIT, not before',
  async (_, write) => {
    const { db, orm, shared, texts } = made
    const trx = await db.startTransaction().execute()
    await write(shared.drizzleFor(trx) as unknown as typeof orm)
    // The result may come from the cache while the write is not committed, but not afterwards.
    expect(await texts(orm)).toEqual([])
    await trx.commit().execute()
    expect(await texts(orm)).toEqual([{ text: 'a' }])
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'select'])
  },
)
