import type { PoolConfig, QueryConfig } from 'pg'
import { describe, expect, test } from 'vitest'
import { notes } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Manner, mannersHere } from '../setup/worlds.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

const VALUES = "select 1 as one, 'two' as two"
const boom = new Error('boom')

/** A query with type parsers of its own. */
function parsedBy(text: string, parse: (value: string) => unknown): QueryConfig {
  return { text, types: { getTypeParser: () => parse } } as QueryConfig
}

const failing = parsedBy(VALUES, () => {
  throw boom
})

const manners: readonly Manner[] = mannersHere([
  ...joining,
  { name: 'a client that answers in binary', options: { pool: { binary: true } as PoolConfig } },
])

describe.each(manners)('with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)

  test('each statement keeps its own settings', async () => {
    const queries: QueryConfig[] = [
      { text: VALUES },
      { text: VALUES, rowMode: 'array' } as QueryConfig,
      parsedBy(VALUES, (value) => `<${value}>`),
      { text: VALUES, binary: true } as QueryConfig,
      { name: 'own settings', text: VALUES, rowMode: 'array' } as QueryConfig,
      { ...parsedBy(VALUES, (value) => [value]), name: 'own settings' },
      { text: VALUES },
    ]
    const alone: unknown[] = []
    for (const query of queries) alone.push((await app.pool.query(query)).rows)
    clear()
    const together = await app.shared.transaction(() =>
      Promise.all(queries.map((query) => app.pool.query(query))),
    )
    expect(together.map(({ rows }) => rows)).toEqual(alone)
    expect(new Set(alone.map((rows) => JSON.stringify(rows))).size).toBeGreaterThanOrEqual(4)
    expect(trips()).toBe(2)
  })

  test('each has the same result as alone', async () => {
    const texts = [
      VALUES,
      '',
      '  -- nothing',
      "insert into note (text) values ('a'), ('b') returning text;",
      "update note set text = text || '!';  ",
      'create temporary table made (a int) on commit drop',
      'select * from made',
      'listen something',
      "do $$ begin raise notice 'done'; end $$",
      'set local statement_timeout = 10000',
      'show statement_timeout',
      'unlisten *',
      "delete from note where text = 'none'",
    ]
    const roll = new Error('roll back')
    const answersOf = async (run: () => Promise<unknown>[] | Promise<unknown[]>) => {
      let answers: unknown[] = []
      const error = await failureOf(
        app.shared.transaction(async () => {
          answers = await Promise.all(await run())
          throw roll
        }),
      )
      expect(error).toBe(roll)
      return answers.map((answer) => {
        const { command, rowCount, rows, fields } = answer as Record<string, unknown[]>
        return { command, rowCount, rows, fields: fields?.length }
      })
    }
    const alone = await answersOf(async () => {
      const answers: unknown[] = []
      for (const text of texts) answers.push(await app.pool.query(text))
      return answers
    })
    clear()
    const together = await answersOf(async () => texts.map((text) => app.pool.query(text)))
    expect(together).toEqual(alone)
    expect(trips()).toBe(2)
  })

  test('an empty text at each place has an empty result', async () => {
    const empty = () => app.pool.query('')
    const answers = await app.shared.transaction(() =>
      Promise.all([empty(), note(app, 'a'), empty(), empty(), note(app, 'b'), empty()]),
    )
    expect(answers.map(({ rows }) => rows.length)).toEqual([0, 1, 0, 0, 1, 0])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test.each([0, 1, 2])(
    'a parser that throws fails its statement alone, at place %i',
    async (place) => {
      clear()
      const settled = await app.shared.transaction(() =>
        Promise.allSettled(
          ['a', 'b', 'c'].map((text, at) =>
            at === place ? app.pool.query(failing) : note(app, text),
          ),
        ),
      )
      const reasons = settled.map((one) => (one.status === 'rejected' ? one.reason : 'done'))
      expect(reasons).toEqual(['done', 'done', 'done'].with(place, boom as never))
      expect(trips()).toBe(2)
      expect(await app.rows()).toEqual(['a', 'b', 'c'].toSpliced(place, 1))
    },
  )

  test.each([0, 1])(
    'the error of a parser that throws comes before that of a failing statement, at place %i',
    async (place) => {
      let fates: string[] = []
      await failureOf(
        app.shared.transaction(async () => {
          const issued = [note(app, 'a')].toSpliced(place, 0, app.pool.query(failing) as never)
          fates = await fatesOf([
            ...issued,
            app.pool.query('select 1 / 0'),
            app.pool.query(failing),
          ])
        }),
      )
      expect(fates).toEqual([
        ...['done'].toSpliced(place, 0, 'Error'),
        'error 22012',
        'StatementSkippedError 25P02',
      ])
      expect(await app.rows()).toEqual([])
    },
  )

  test.each(['alone', 'among others'])(
    'a parser that throws hides no failure of the server, %s',
    async (where) => {
      const text = 'select 1 / (3 - i) from generate_series(1, 5) i'
      await app.shared.transaction(async () => {
        await note(app, 'a')
        const nested = app.db.transaction().execute(async () => {
          await note(app, 'b')
          const issued = [app.pool.query({ ...failing, text })]
          if (where !== 'alone') issued.unshift(app.pool.query(VALUES))
          await fatesOf(issued)
        })
        expect(await failureOf(nested)).toMatchObject({ name: 'TransactionAbortedError' })
        await note(app, 'c')
      })
      expect(await app.rows()).toEqual(['a', 'c'])
    },
  )

  test('reads and writes of both layers see each other in the order of their arrival', async () => {
    const [, seen, , more] = await app.shared.transaction(() =>
      Promise.all([
        app.pool.query("insert into note (text) values ('a')"),
        app.pool.query<{ text: string }>('select text from note'),
        app.pool.query("insert into note (text) values ('b')"),
        app.pool.query<{ text: string }>('select text from note'),
      ]),
    )
    expect([seen.rows.length, more.rows.length]).toEqual([1, 2])
  })

  test('Drizzle and Kysely each get their own rows if both read much', async () => {
    const texts = Array.from({ length: 500 }, (_, at) => `${at}`)
    await app.observer.query('insert into note (text) select unnest($1::text[])', [texts])
    clear()
    const [ofDrizzle, ofKysely] = await app.shared.transaction(() =>
      Promise.all([
        app.orm.select({ text: notes.text }).from(notes).orderBy(notes.id),
        app.db.selectFrom('note').select('text as other').orderBy('id').execute(),
      ]),
    )
    expect(ofDrizzle).toEqual(texts.map((text) => ({ text })))
    expect(ofKysely).toEqual(texts.map((other) => ({ other })))
    expect(sent()).toEqual(['begin', 'select', 'select', 'commit'])
    expect(trips()).toBe(2)
  })
})
