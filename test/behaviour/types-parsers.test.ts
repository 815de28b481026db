import { sql as text } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { bigint, date, interval, jsonb, numeric, pgTable, timestamp } from 'drizzle-orm/pg-core'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool, type QueryConfig, types } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { manners } from '../setup/worlds.ts'

const moments = pgTable('moment', {
  at: timestamp('at', { withTimezone: true }).notNull(),
  local: timestamp('local', { mode: 'string' }).notNull(),
  day: date('day').notNull(),
  span: interval('span').notNull(),
  big: bigint('big', { mode: 'bigint' }).notNull(),
  exact: numeric('exact').notNull(),
  data: jsonb('data').notNull(),
})

type Moments = {
  moment: {
    at: Date
    local: Date
    day: Date
    span: object
    big: string
    exact: string
    data: object
  }
}

/** The two layers and the pool of an application, with or without the bridge. */
interface Trio {
  readonly orm: { select: ReturnType<typeof drizzle>['select'] } & Pick<
    ReturnType<typeof drizzle>,
    'execute'
  >
  readonly db: Pick<Kysely<Moments>, 'selectFrom' | 'getExecutor'>
  readonly pool: Pick<Pool, 'query'>
}

const WITH_PARSERS = {
  text: 'select * from moment',
  types: { getTypeParser: () => (value: unknown) => `<${String(value)}>` },
} as unknown as QueryConfig

interface View {
  readonly name: string
  readonly rows: (trio: Trio) => Promise<unknown>
}

/** The values that a way to query returns. */
const plainViews: readonly View[] = [
  { name: 'Drizzle', rows: async ({ orm }) => orm.select().from(moments) },
  {
    name: 'Drizzle, raw',
    rows: async ({ orm }) => (await orm.execute(text.raw('select * from moment'))).rows,
  },
  { name: 'Kysely', rows: ({ db }) => db.selectFrom('moment').selectAll().execute() },
  {
    name: 'Kysely, raw',
    rows: async ({ db }) => (await sql`select * from moment`.execute(db)).rows,
  },
  { name: 'pg', rows: async ({ pool }) => (await pool.query('select * from moment')).rows },
  {
    name: 'pg, with parsers of its own',
    rows: async ({ pool }) => (await pool.query(WITH_PARSERS)).rows,
  },
  {
    name: 'pg, as arrays',
    rows: async ({ pool }) =>
      (await pool.query({ text: 'select * from moment', rowMode: 'array' })).rows,
  },
]

/** The same with named statements. */
const namedViews: readonly View[] = [
  {
    name: 'Drizzle, prepared',
    rows: ({ orm }) => orm.select().from(moments).prepare('drizzle_moments').execute(),
  },
  {
    name: 'pg, prepared',
    rows: async ({ pool }) =>
      (await pool.query({ name: 'pg_moments', text: 'select * from moment' })).rows,
  },
]

// Behind PgBouncer statements cannot have names.
const views = inject('pgBouncer') === 'running' ? plainViews : [...plainViews, ...namedViews]

describe.each(manners)('$name', (manner) => {
  const app = useApp(manner.options)
  const alone: Record<string, unknown> = {}
  let stock: Pool

  beforeAll(async () => {
    await app.observer.query(`
      create table moment (at timestamptz, local timestamp, day date, span interval,
        big int8, exact numeric, data jsonb);
      insert into moment values ('2026-01-02 03:04:05+06', '2026-01-02 03:04:05', '2026-01-02',
        '1 day 2 hours', 9007199254740993, 1.50, '{"a": [1]}')`)
    stock = new Pool({ connectionString: app.url })
    const db = new Kysely<Moments>({ dialect: new PostgresDialect({ pool: stock }) })
    for (const { name, rows } of views) {
      alone[name] = await rows({ orm: drizzle({ client: stock }), db, pool: stock })
    }
  })
  afterAll(() => stock.end())

  const trio = (): Trio => ({
    orm: app.orm,
    db: app.db.withTables<Moments>(),
    pool: app.pool,
  })
  const seeAll = async (): Promise<Record<string, unknown>> => {
    const seen: Record<string, unknown> = {}
    for (const { name, rows } of views) seen[name] = await rows(trio())
    return seen
  }

  test('the layers see different types, so it matters', () => {
    expect(alone['Kysely']).not.toEqual(alone['Drizzle, raw'])
    expect(alone['Kysely']).toEqual(alone['pg'])
  })

  test('each layer sees its usual types, mixed in one transaction, in any order', async () => {
    await app.orm.transaction(async () => {
      expect(await seeAll()).toEqual(alone)
      await app.db.transaction().execute(async () => {
        for (const { name, rows } of views.toReversed()) {
          expect(await rows(trio()), name).toEqual(alone[name])
        }
      })
    })
    expect(app.transcript.lines()).toContain('commit')
    expect(await app.rows()).toEqual([])
  })

  test('the same is true in one Promise.all, and for the statement that BEGIN is piggybacked on', async () => {
    for (const { name, rows } of views) {
      await app.db.transaction().execute(async () => {
        expect(await rows(trio()), name).toEqual(alone[name])
        const seen = await Promise.all(views.map((view) => view.rows(trio())))
        expect(seen).toEqual(views.map((view) => alone[view.name]))
      })
    }
    expect(app.transcript.lines().filter((line) => line === 'begin')).toHaveLength(views.length)
    expect(await app.rows()).toEqual([])
  })

  test('named statements see their usual types', async () => {
    await app.orm.transaction(async () => {
      for (const { name, rows } of namedViews) {
        expect(await rows(trio()), name).toEqual(alone[name])
        expect(await rows(trio()), name).toEqual(alone[name])
      }
    })
    expect(app.transcript.lines()).toHaveLength(2 * namedViews.length + 2)
    expect(await app.rows()).toEqual([])
  })

  test('the same is true after a statement that failed, and outside transactions', async () => {
    expect(await seeAll()).toEqual(alone)
    await app.orm.transaction(async (tx) => {
      for (const failing of [
        () => tx.transaction((inner) => inner.execute(text.raw('select 1 / 0'))),
        () => app.db.transaction().execute((trx) => sql`select 1 / 0`.execute(trx)),
      ]) {
        expect(await failureOf(failing())).toMatchObject({ code: '22012' })
        expect(await seeAll()).toEqual(alone)
      }
    })
    expect(app.transcript.lines().filter((line) => line.startsWith('rollback'))).toEqual([
      'rollback to savepoint sp1',
      'rollback to savepoint sp1',
    ])
    expect(await app.rows()).toEqual([])
  })

  test('type parsers of the whole program do not change', async () => {
    const parsers = () => Object.values(types.builtins).map((oid) => types.getTypeParser(oid))
    const before = parsers()
    await app.orm.transaction(() => seeAll())
    expect(parsers()).toEqual(before)
    expect(app.transcript.lines().at(-1)).toBe('commit')
    expect(await app.rows()).toEqual([])
  })
})
