import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import { Client, Pool } from 'pg'
import { shareConnection } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Plain, withShared } from '../setup/with-shared.ts'

const app = useApp()

/** The ways to make a Drizzle database on node-postgres. */
const ways: readonly { name: string; make: (url: string) => Promise<Plain> }[] = [
  { name: 'drizzle(url)', make: (url) => Promise.resolve(drizzle(url)) },
  {
    name: 'drizzle({ connection: url })',
    make: (url) => Promise.resolve(drizzle({ connection: url })),
  },
  {
    name: 'drizzle({ connection: { … } })',
    make: (url) => Promise.resolve(drizzle({ connection: { connectionString: url, max: 2 } })),
  },
  {
    name: 'drizzle({ client: pool })',
    make: (url) =>
      Promise.resolve(drizzle({ client: new Pool({ connectionString: url, max: 1 }) })),
  },
  {
    name: 'drizzle({ client }) with one connected client',
    make: async (url) => {
      const client = new Client(url)
      await client.connect()
      return drizzle({ client }) as unknown as Plain
    },
  },
]

describe.each(ways)('$name', ({ make }) => {
  test('both layers nest on it, and dispose() restores it', async () => {
    const orm = await make(app.url)
    await withShared(orm, async (shared) => {
      const db = shared.kysely<Schema>()
      await orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        const failing = db.transaction().execute(async (trx) => {
          await trx.insertInto('note').values({ text: 'b' }).execute()
          throw new Error('boom')
        })
        await expect(failing).rejects.toThrow('boom')
        await orm.$client.query(`insert into note (text) values ('c')`)
      })
      await db.transaction().execute(async () => {
        await orm.insert(notes).values({ text: 'd' })
        await orm.transaction((tx) => tx.insert(notes).values({ text: 'e' }))
      })
      expect(await app.rows()).toEqual(['a', 'c', 'd', 'e'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'insert',
        'commit',
        'begin',
        'insert d',
        'savepoint sp1',
        'insert e',
        'commit',
      ])
    })
  })

  test('transactions side by side do not mix', async () => {
    const orm = await make(app.url)
    await withShared(orm, async (shared) => {
      const db = shared.kysely<Schema>()
      const results = await Promise.allSettled([
        orm.transaction(async (tx) => {
          await tx.insert(notes).values({ text: 'a' })
          await db.insertInto('note').values({ text: 'b' }).execute()
          throw new Error('boom')
        }),
        db.transaction().execute(async (trx) => {
          await trx.insertInto('note').values({ text: 'c' }).execute()
          await orm.insert(notes).values({ text: 'd' })
        }),
        orm.insert(notes).values({ text: 'e' }),
      ])
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
      expect((await app.rows()).toSorted()).toEqual(['c', 'd', 'e'])
      const control = app.transcript.lines().filter((line) => !line.startsWith('insert'))
      expect(control.toSorted()).toEqual(['begin', 'begin', 'commit', 'rollback'])
    })
  })

  test('db.destroy() does not end it', async () => {
    const orm = await make(app.url)
    await withShared(orm, async (shared) => {
      const db = shared.kysely<Schema>()
      await db.selectFrom('note').selectAll().execute()
      await db.destroy()
      await orm.insert(notes).values({ text: 'a' })
      expect(await app.rows()).toEqual(['a'])
      expect(app.transcript.lines()).toEqual(['select', 'insert a'])
    })
  })
})

describe('all calls for one pool return the same object', () => {
  test('two Drizzle databases on one pool share one transaction', async () => {
    const second = drizzle({ client: app.pool })
    expect(shareConnection(second)).toBe(app.shared)
    expect(shareConnection(app.orm)).toBe(app.shared)
    const failing = app.orm.transaction(async () => {
      await second.insert(notes).values({ text: 'a' })
      await second.transaction((tx) => tx.insert(notes).values({ text: 'b' }))
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'rollback',
    ])
  })

  test('the extension is applied once, however often it is called', async () => {
    const again = app.db.extension('shared-connection', { drizzle: app.orm })
    const derived = app.db.withSchema('public').extension('shared-connection')
    expect(again).toBe(app.db)
    let hooks = 0
    await again.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'a' }).execute()
      await derived.insertInto('note').values({ text: 'b' }).execute()
      await again.afterCommit(() => void hooks++)
    })
    expect(hooks).toBe(1)
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  })

  test('sharing opens no connection and sends nothing', async () => {
    const orm = drizzle({ client: new Pool({ connectionString: 'postgres://nowhere.invalid/x' }) })
    await withShared(orm, async (shared) => {
      new Kysely({ dialect: new PostgresDialect({ pool: orm.$client }) }).extension(
        'shared-connection',
        { drizzle: orm },
      )
      shared.kysely()
      await shared.afterRollback(() => {})
      expect(orm.$client.totalCount).toBe(0)
      // An unreachable database is an error when it is used.
      expect((await failureOf(orm.insert(notes).values({ text: 'a' }))).message).toMatch(/invalid/)
    })
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })
})

describe('clients of the pool', () => {
  test('one that is released with an error is closed', async () => {
    const client = await app.orm.$client.connect()
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    client.release(new Error('broken'))
    await app.orm.insert(notes).values({ text: 'a' })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['select', 'insert a'])
    expect(app.transcript.events()[1]?.processID).not.toBe(rows[0]?.pid)
  })

  test('a pool of a subclass works, too', async () => {
    class MyPool extends Pool {}
    const orm = drizzle({ client: new MyPool({ connectionString: app.url }) })
    await withShared(orm, async (shared) => {
      await orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        await shared.kysely<Schema>().insertInto('note').values({ text: 'b' }).execute()
      })
      expect(orm.$client.totalCount).toBe(1)
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  })
})
