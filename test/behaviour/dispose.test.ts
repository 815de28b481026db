import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Client } from 'pg'
import { type DrizzleLike, shareConnection } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { MemoryCache } from '../setup/memory-cache.ts'
import { type Plain, withShared } from '../setup/with-shared.ts'

const app = useApp()

test('restores the pool and the session', async () => {
  const orm: Plain & DrizzleLike = drizzle(app.url)
  const keysOf = () => [Object.keys(orm.$client), Object.keys(Reflect.get(orm._, 'session'))]
  const before = keysOf()
  await withShared(orm, async (shared) => {
    await orm.insert(notes).values({ text: 'a' })
    shared.dispose()
    expect(keysOf()).toEqual(before)
    await orm.transaction((tx) => tx.insert(notes).values({ text: 'b' }))
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['insert a'])
  })
})

test('is refused while a transaction is open', async () => {
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    expect(() => app.shared.dispose()).toThrow(expect.objectContaining({ name: 'DisposeError' }))
    await app.db.insertInto('note').values({ text: 'b' }).execute()
  })
  expect(await app.rows()).toEqual(['a', 'b'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
})

test('a database on a pool that was disposed of rejects with DisposeError', async () => {
  const orm = drizzle(app.url)
  await withShared(orm, async (shared) => {
    const db = shared.kysely<Schema>()
    shared.dispose()
    const failures = [
      await failureOf(db.insertInto('note').values({ text: 'a' }).execute()),
      await failureOf(shared.transaction(() => {})),
    ]
    expect(failures.map(({ name }) => name)).toEqual(['DisposeError', 'DisposeError'])
  })
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual([])
})

test('the same Drizzle database can be shared again', async () => {
  const orm = drizzle(app.url)
  shareConnection(orm, { name: 'first' }).dispose()
  await withShared(orm, async (shared) => {
    await shared.transaction(({ tx }) => tx.insert(notes).values({ text: 'a' }))
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })
})

describe('a wrapper that was added after sharing', () => {
  const kinds: readonly { name: string; make: (url: string) => Promise<Plain> }[] = [
    { name: 'a pool', make: (url) => Promise.resolve(drizzle(url)) },
    {
      name: 'a client',
      make: async (url) => {
        const client = new Client(url)
        await client.connect()
        return drizzle({ client }) as unknown as Plain
      },
    },
  ]

  test.each(kinds)('stays on $name, and goes on working', async ({ make }) => {
    const orm = await make(app.url)
    const asked: unknown[] = []
    await withShared(orm, async (shared) => {
      const pool = orm.$client as unknown as { query: (...args: unknown[]) => Promise<unknown> }
      const { query } = pool
      const wrapped = (...args: unknown[]): Promise<unknown> => {
        asked.push(args[0])
        return query.apply(pool, args)
      }
      pool.query = wrapped
      await pool.query(`insert into note (text) values ('a')`)
      shared.dispose()
      expect(pool.query).toBe(wrapped)
      await pool.query(`insert into note (text) values ('b')`)
    })
    expect(asked).toHaveLength(2)
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['insert'])
  })

  test('stays on connect() of a pool, also when that is shared again', async () => {
    const orm = drizzle(app.url)
    const pool = orm.$client
    const shared = shareConnection(orm)
    let lent = 0
    const connect = pool.connect.bind(pool) as (...args: unknown[]) => unknown
    const wrapped = (...args: unknown[]): unknown => {
      lent++
      return connect(...args)
    }
    Object.assign(pool, { connect: wrapped })
    shared.dispose()
    const client = await pool.connect()
    client.release()
    await withShared(orm, async () => {
      await orm.transaction((tx) => tx.insert(notes).values({ text: 'a' }))
    })
    expect(lent).toBe(2)
    expect(Reflect.get(pool, 'connect')).toBe(wrapped)
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test.each([
    {
      method: 'transaction',
      note: (orm: Plain, text: string) =>
        orm.transaction((tx) => tx.insert(notes).values({ text })),
      sent: ['begin', 'insert a', 'commit'],
    },
    {
      method: 'prepareQuery',
      note: (orm: Plain, text: string) =>
        orm.execute(sql`insert into note (text) values (${text})`),
      sent: ['insert a'],
    },
  ])('stays on $method() of the session of Drizzle', async ({ method, note, sent }) => {
    const cache = new MemoryCache()
    const orm: Plain = drizzle({ connection: app.url, cache })
    const session = Reflect.get(orm._, 'session') as object as Record<string, unknown>
    await withShared(orm, async (shared) => {
      const found = session[method] as (...args: unknown[]) => unknown
      let called = 0
      const wrapped = function (this: object, ...args: unknown[]): unknown {
        called++
        return found.apply(this, args)
      }
      session[method] = wrapped
      await note(orm, 'a')
      const before = called
      shared.dispose()
      expect(session[method]).toBe(wrapped)
      await note(orm, 'b')
      expect(called).toBeGreaterThan(before)
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(sent)
  })
})
