import { sql as text } from 'drizzle-orm'
import { sql } from 'kysely'
import type { PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import { shareConnection } from 'shared-connection'
import { beforeAll, describe, expect, test } from 'vitest'
import { type App, notes, useApp } from '../setup/app.ts'
import { relationalOrm } from '../setup/relational.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { application_name: 'app' } })
let relational: ReturnType<typeof relationalOrm>
beforeAll(() => {
  relational = relationalOrm(app.pool)
  shareConnection(relational)
})

const COUNT = 'select count(*)::int as n from note'

interface Count {
  n: number
}

/** A way to send a statement. Each returns the number of notes that it sees. */
interface Door {
  readonly name: string
  readonly count: (app: App) => Promise<number | undefined>
}

const doors: readonly Door[] = [
  { name: 'orm.select()', count: async ({ orm }) => (await orm.select().from(notes)).length },
  {
    name: 'a relational query of Drizzle',
    count: async () => (await relational.query.notes.findMany()).length,
  },
  { name: 'orm.$count()', count: ({ orm }) => orm.$count(notes).then(Number) },
  {
    name: 'raw SQL of Drizzle',
    count: async ({ orm }) => (await orm.execute<{ n: number }>(text.raw(COUNT))).rows[0]?.n,
  },
  {
    name: 'a prepared query of Drizzle',
    count: async ({ orm }) => (await orm.select().from(notes).prepare('all').execute()).length,
  },
  {
    name: 'db.selectFrom()',
    count: async ({ db }) => (await db.selectFrom('note').selectAll().execute()).length,
  },
  {
    name: 'raw SQL of Kysely',
    count: async ({ db }) => (await sql<Count>`${sql.raw(COUNT)}`.execute(db)).rows[0]?.n,
  },
  {
    name: 'db.connection()',
    count: ({ db }) =>
      db
        .connection()
        .execute(async (one) => (await one.selectFrom('note').selectAll().execute()).length),
  },
  {
    name: 'a stream of Kysely',
    count: async ({ db }) => {
      let n = 0
      for await (const _ of db.selectFrom('note').selectAll().stream(1)) n++
      return n
    },
  },
  {
    name: '$client.query()',
    count: async ({ orm }) => (await orm.$client.query<Count>(COUNT)).rows[0]?.n,
  },
  {
    name: '$client.query() with a name',
    count: async ({ orm }) =>
      (await orm.$client.query<Count>({ name: 'count', text: COUNT })).rows[0]?.n,
  },
  {
    name: '$client.query() with a callback',
    count: ({ orm, shared }) =>
      new Promise((resolve, reject) => {
        orm.$client.query<Count>(COUNT, (error, result) => {
          if (error || !shared.inTransaction) reject(error ?? new Error('the context is lost'))
          else resolve(result.rows[0]?.n)
        })
      }),
  },
  {
    name: '$client.connect()',
    count: async ({ orm }) => {
      const client = await orm.$client.connect()
      try {
        return (await client.query<Count>(COUNT)).rows[0]?.n
      } finally {
        client.release()
      }
    },
  },
  {
    name: '$client.connect() with callbacks',
    count: ({ orm }) =>
      new Promise((resolve, reject) => {
        orm.$client.connect((failure, client, release) => {
          if (failure || !client) return reject(failure ?? new Error('no client'))
          client.query<Count>(COUNT, (error, result) => {
            release()
            if (error) reject(error)
            else resolve(result.rows[0]?.n)
          })
        })
      }),
  },
  {
    name: 'a cursor of pg-cursor',
    count: async ({ orm }) => {
      const client = await orm.$client.connect()
      try {
        const cursor = client.query(new Cursor('select * from note'))
        const rows = await cursor.read(10)
        await cursor.close()
        return rows.length
      } finally {
        client.release()
      }
    },
  },
  {
    name: 'shared.withClient()',
    count: ({ shared }) =>
      shared.withClient(async (client: PoolClient) => {
        return (await client.query<Count>(COUNT)).rows[0]?.n
      }),
  },
]

describe.each(speakers)('in a transaction of $name', (speaker) => {
  test.each(doors)('$name uses its connection', async ({ name, count }) => {
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      expect(await count(app)).toBe(1)
      expect(await count(app)).toBe(1)
      const { rows } = await app.observer.query<Count>(
        `select count(*)::int as n from pg_stat_activity
         where datname = current_database() and application_name = 'app' and state <> 'idle'`,
      )
      expect(rows).toEqual([{ n: 1 }])
      expect(app.pool.totalCount - app.pool.idleCount).toBe(1)
    })
    expect(await app.rows()).toEqual(['a'])
    // Statements on the physical client are not published.
    const reads = name === 'shared.withClient()' ? [] : ['select', 'select']
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', ...reads, 'commit'])
    const events = app.transcript.events()
    expect(new Set(events.map(({ processID }) => processID)).size).toBe(1)
    expect(new Set(events.map(({ transaction }) => transaction)).size).toBe(1)
    expect(new Set(events.map(({ holder }) => holder))).toEqual(new Set([speaker.name]))
  })
})

describe('outside a transaction', () => {
  test.each(doors.filter(({ name }) => !name.includes('with a callback')))(
    '$name is one statement, and the client is released',
    async ({ name, count }) => {
      await app.observer.query(`insert into note (text) values ('a')`)
      expect(await count(app)).toBe(1)
      await new Promise(setImmediate)
      expect(app.pool.idleCount).toBe(app.pool.totalCount)
      expect(app.pool.totalCount).toBe(1)
      expect(app.transcript.lines()).toEqual(name === 'shared.withClient()' ? [] : ['select'])
      expect(await app.rows()).toEqual(['a'])
    },
  )

  test('a session can be used repeatedly without a transaction', async () => {
    const seen = await app.db.connection().execute(async (one) => {
      await sql`select set_config('app.x', 'kept', false)`.execute(one)
      await one.insertInto('note').values({ text: 'a' }).execute()
      const { rows } = await sql<{ x: string }>`select current_setting('app.x') as x`.execute(one)
      await sql`reset app.x`.execute(one)
      return rows
    })
    expect(seen).toEqual([{ x: 'kept' }])
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['select', 'insert a', 'select', 'reset'])
    expect(new Set(app.transcript.events().map(({ processID }) => processID)).size).toBe(1)
  })
})

test('one layer can release an advisory lock of the other', async () => {
  await app.orm.transaction(async (tx) => {
    await sql`select pg_advisory_lock(7)`.execute(app.db)
    const { rows } = await tx.execute(text.raw('select pg_advisory_unlock(7) as unlocked'))
    expect(rows).toEqual([{ unlocked: true }])
    await tx.insert(notes).values({ text: 'a' })
  })
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'select', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a'])
})

test('both layers and the pool use the same backend', async () => {
  const pid = 'select pg_backend_pid() as pid'
  await app.orm.transaction(async (tx) => {
    const [one] = (await tx.execute<{ pid: number }>(text.raw(pid))).rows
    const [two] = (await sql<{ pid: number }>`${sql.raw(pid)}`.execute(app.db)).rows
    const held = await app.shared.withClient((client) => client.query(pid))
    expect([two, held.rows[0]]).toEqual([one, one])
  })
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'select', 'commit'])
  expect(await app.rows()).toEqual([])
})
