import { eq, sql as text } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const app = useApp()
let stock: Pool
beforeAll(() => {
  stock = new Pool({ connectionString: app.url })
})
afterAll(() => stock.end())

/** A Drizzle and a Kysely database, with or without the bridge. */
interface Layers {
  readonly orm: Pick<
    ReturnType<typeof drizzle>,
    'select' | 'insert' | 'update' | 'delete' | 'execute'
  >
  readonly db: Kysely<Schema>
}

/** Calls of the layers. Their results with the bridge must be those without it. */
const questions: readonly { name: string; ask: (layers: Layers) => Promise<unknown> }[] = [
  {
    name: 'Kysely: the row that was inserted',
    ask: ({ db }) => db.insertInto('note').values({ text: 'k' }).returningAll().executeTakeFirst(),
  },
  {
    name: 'Kysely: how many rows were inserted',
    ask: ({ db }) =>
      db
        .insertInto('note')
        .values([{ text: 'k2' }, { text: 'k3' }])
        .executeTakeFirst(),
  },
  {
    name: 'Kysely: how many rows were changed',
    ask: ({ db }) => db.updateTable('note').set({ text: 'K' }).where('text', '=', 'k').execute(),
  },
  {
    name: 'Kysely: how many rows were deleted',
    ask: ({ db }) => db.deleteFrom('note').where('text', 'in', ['k2', 'nothing']).execute(),
  },
  {
    name: 'Kysely: no rows',
    ask: ({ db }) => db.selectFrom('note').selectAll().where('id', '<', 0).execute(),
  },
  {
    name: 'Kysely: raw SQL',
    ask: ({ db }) => sql`select 1 as one, ${'x'}::text as x`.execute(db),
  },
  {
    name: 'Drizzle: the row that was inserted',
    ask: ({ orm }) => orm.insert(notes).values({ text: 'd' }).returning().execute(),
  },
  {
    name: 'Drizzle: how many rows were inserted',
    ask: async ({ orm }) => {
      const { rowCount, command } = await orm.insert(notes).values([{ text: 'd2' }, { text: 'd3' }])
      return { rowCount, command }
    },
  },
  {
    name: 'Drizzle: how many rows were changed',
    ask: async ({ orm }) =>
      (await orm.update(notes).set({ text: 'D' }).where(eq(notes.text, 'd'))).rowCount,
  },
  {
    name: 'Drizzle: how many rows were deleted',
    ask: async ({ orm }) => (await orm.delete(notes).where(eq(notes.text, 'd2'))).rowCount,
  },
  {
    name: 'Drizzle: no rows, but their columns',
    ask: async ({ orm }) => {
      const { rows, fields } = await orm.execute(text.raw('select * from note where id < 0'))
      return { rows, fields: fields.map(({ name }) => name) }
    },
  },
  {
    name: 'Drizzle: the error of a statement',
    ask: async ({ orm }) => {
      const error = await orm.execute(text.raw('selec 1')).then(
        () => undefined,
        (reason: unknown) => reason as Error,
      )
      return [error?.constructor.name, error?.message, (error?.cause as { code?: string })?.code]
    },
  },
  {
    name: 'Kysely: the error of a statement',
    ask: async ({ db }) => {
      const error = await failureOf(sql`selec 1`.execute(db))
      return [error.constructor.name, error.message, (error as { code?: string }).code]
    },
  },
]

async function answers(layers: Layers): Promise<unknown[]> {
  const given: unknown[] = []
  for (const { ask } of questions) given.push(await ask(layers))
  return given
}

async function expected(): Promise<unknown[]> {
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: stock }) })
  const given = await answers({ orm: drizzle({ client: stock }), db })
  await app.observer.query('truncate note, reply restart identity')
  return given
}

describe('the layers return the same with the bridge as without it', () => {
  test('outside a transaction', async () => {
    const without = await expected()
    expect(await answers({ orm: app.orm, db: app.db })).toEqual(without)
    expect((await app.rows()).toSorted()).toEqual(['D', 'K', 'd3', 'k3'])
    expect(app.transcript.lines()).toHaveLength(questions.length)
  })

  test.each(questions.slice(0, -2))('inside a transaction: $name', async ({ name, ask }) => {
    const at = questions.findIndex((question) => question.name === name)
    const without = await expected()
    await app.shared.transaction(async ({ tx, trx }) => {
      const db = trx as unknown as Kysely<Schema>
      const seen: unknown[] = []
      for (const before of questions.slice(0, at)) seen.push(await before.ask({ orm: tx, db }))
      expect([...seen, await ask({ orm: tx, db })]).toEqual(without.slice(0, at + 1))
    })
    expect(app.transcript.lines()[0]).toBe('begin')
    expect(app.transcript.lines().at(-1)).toBe('commit')
    expect(await app.rows()).not.toContain('nothing')
  })
})
