import { sql as drizzleSql } from 'drizzle-orm'
import type { drizzle } from 'drizzle-orm/node-postgres'
import { type Kysely, sql } from 'kysely'
import type { Pool, QueryConfig, QueryResult } from 'pg'
import { notes, type Schema } from '../setup/app.ts'

/** Both layers and their pool, on the bridge or not. */
export interface Layers {
  readonly orm: Pick<ReturnType<typeof drizzle>, 'select' | 'insert' | 'execute'>
  readonly db: Pick<Kysely<Schema>, 'selectFrom' | 'insertInto' | 'getExecutor'>
  readonly pool: Pick<Pool, 'query'>
}

/** One way to ask for something. */
export interface Ask {
  readonly name: string
  readonly verb: string
  /** The visible part of the answer. */
  readonly of: (layers: Layers) => Promise<unknown>
}

const VALUES = "select 1 as one, 'two' as two, null as three"

function seen({ command, rowCount, rows, fields }: QueryResult): unknown {
  return { command, rowCount, rows, fields: fields.map(({ name, format }) => [name, format]) }
}

function pg(name: string, verb: string, ...[config, values]: [unknown, unknown[]?]): Ask {
  return {
    name: `pg, ${name}`,
    verb,
    of: async ({ pool }) => seen(await pool.query(config as QueryConfig, values)),
  }
}

/** Every kind of statement on which control commands are piggybacked. */
export const asks: readonly Ask[] = [
  {
    name: 'Drizzle, insert',
    verb: 'insert',
    of: async ({ orm }) => orm.insert(notes).values({ text: 'x' }).returning({ text: notes.text }),
  },
  {
    name: 'Drizzle, select',
    verb: 'select',
    of: async ({ orm }) => orm.select({ text: notes.text, one: drizzleSql`1` }).from(notes),
  },
  {
    name: 'Drizzle, prepared',
    verb: 'select',
    of: ({ orm }) =>
      orm.select({ text: notes.text }).from(notes).prepare('asked of Drizzle').execute(),
  },
  {
    name: 'Drizzle, raw',
    verb: 'select',
    of: async ({ orm }) => seen(await orm.execute(drizzleSql.raw(`${VALUES};`))),
  },
  {
    name: 'Kysely, insert',
    verb: 'insert',
    of: ({ db }) => db.insertInto('note').values({ text: 'x' }).returning('text').execute(),
  },
  {
    name: 'Kysely, select',
    verb: 'select',
    of: ({ db }) => db.selectFrom('note').select('text').execute(),
  },
  {
    name: 'Kysely, raw',
    verb: 'select',
    of: ({ db }) => sql`${sql.raw(VALUES)} ; -- the end; really`.execute(db),
  },
  pg('with values', 'insert', 'insert into note (text) values ($1) returning text', ['x']),
  pg('without values', 'select', VALUES),
  pg('with no values', 'select', VALUES, []),
  pg('with ; behind it', 'select', `${VALUES} ;`),
  pg('with ; and comments behind it', 'select', `${VALUES}; -- ;\n /* ; /* ; */ */ `),
  pg('with ; in it', 'select', `select ';' as "a;b" -- ;`),
  pg('empty', '', ''),
  pg('named', 'select', { name: 'asked', text: VALUES }),
  pg('named, with values', 'select', { name: 'asked too', text: 'select $1::int', values: [7] }),
  pg('named, as arrays', 'select', { name: 'asked', text: VALUES, rowMode: 'array' }),
  pg('named, in binary', 'select', { name: 'asked', text: VALUES, binary: true }),
  pg('by its name alone', 'select', { name: 'asked' }),
  pg('as arrays', 'select', { text: VALUES, rowMode: 'array' }),
  pg('in binary', 'select', { text: VALUES, binary: true }),
  pg('in binary, with values', 'select', { text: 'select $1::int', values: [7], binary: true }),
  pg('with parsers', 'select', {
    text: VALUES,
    types: { getTypeParser: () => (value: unknown) => `<${String(value)}>` },
  }),
  pg('by the extended protocol', 'select', { text: VALUES, queryMode: 'extended' }),
  pg('in a portal with a name', 'select', { text: 'select $1::int', values: [7], portal: 'mine' }),
  {
    name: 'pg, with a callback',
    verb: 'select',
    of: ({ pool }) =>
      new Promise((resolve, reject) => {
        pool.query(VALUES, (error, result) => (error ? reject(error) : resolve(seen(result))))
      }),
  },
]
