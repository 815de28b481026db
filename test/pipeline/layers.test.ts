import { sql as drizzleSql } from 'drizzle-orm'
import { sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { notes } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

const bad = {
  toPostgres(): never {
    throw new Error('no such value')
  },
}
let names = 0

describe.each(joining)('with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)
  let name = ''
  beforeEach(() => {
    name = `of a layer ${++names}`
  })

  const byDrizzle = (text: unknown) =>
    app.orm.execute(drizzleSql`insert into note (text) values (${text})`)
  const byKysely = (text: unknown) => sql`insert into note (text) values (${text})`.execute(app.db)
  const byPg = (text: unknown) => note(app, text)

  describe.each([
    { layer: 'Drizzle', ask: byDrizzle },
    { layer: 'Kysely', ask: byKysely },
    { layer: 'pg', ask: byPg },
  ])('a value of $layer that cannot be serialised', ({ ask }) => {
    test.each([0, 1, 2])('fails its statement alone, at place %i', async (at) => {
      clear()
      const others = [byDrizzle, byKysely, byPg].toSpliced(at, 1)
      const fates = await app.shared.transaction(() => {
        const issued: PromiseLike<unknown>[] = others.map((other, n) => other(`${n}`))
        return fatesOf(issued.toSpliced(at, 0, ask(bad)))
      })
      expect(fates).toEqual(['done', 'done'].toSpliced(at, 0, 'Error'))
      expect(sent()).toEqual(['begin', 'insert', 'insert', 'commit'])
      expect((await app.rows()).toSorted()).toEqual(['0', '1'])
    })

    test('as the first in a savepoint leaves BEGIN and SAVEPOINT for those behind it', async () => {
      clear()
      await app.orm.transaction(() =>
        app.db.transaction().execute(async () => {
          expect(await fatesOf([ask(bad), byDrizzle('a'), byKysely('b')])).toEqual([
            'Error',
            'done',
            'done',
          ])
        }),
      )
      expect(sent()).toEqual(['begin', 'savepoint sp1', 'insert', 'insert', 'commit'])
      expect((await app.rows()).toSorted()).toEqual(['a', 'b'])
    })
  })

  describe.each(speakers)(
    'a prepared statement of Drizzle in a transaction of $name',
    (speaker) => {
      const prepared = () =>
        app.orm
          .insert(notes)
          .values({ text: drizzleSql.placeholder('text') })
          .returning({ text: notes.text })
          .prepare(name)

      test('is prepared once, with what was issued together', async () => {
        const insert = prepared()
        clear()
        await speaker.block(app, () =>
          Promise.all(['a', 'b', 'c'].map((text) => insert.execute({ text }))),
        )
        expect(trips()).toBe(2)
        const { rows } = await app.pool.query(
          'select count(*)::int as n from pg_prepared_statements where name = $1',
          [name],
        )
        expect(rows).toEqual([{ n: 1 }])
        expect(await app.rows()).toEqual(['a', 'b', 'c'])
      })

      test('that was skipped is there for the next request of each kind', async () => {
        const insert = prepared()
        const skipped = speaker.block(app, () =>
          Promise.all([app.pool.query('select 1 / 0'), insert.execute({ text: 'a' })]),
        )
        expect(await failureOf(skipped)).toMatchObject({ code: '22012' })
        expect(await insert.execute({ text: 'b' })).toEqual([{ text: 'b' }])
        await speaker.block(app, () => insert.execute({ text: 'c' }))
        await speaker.block(app, () =>
          Promise.all([
            note(app, 'd'),
            insert.execute({ text: 'e' }),
            insert.execute({ text: 'f' }),
          ]),
        )
        expect((await app.rows()).toSorted()).toEqual(['b', 'c', 'd', 'e', 'f'])
      })

      test('that was skipped in a savepoint is there behind its rollback', async () => {
        const insert = prepared()
        await speaker.block(app, async () => {
          const nested = speaker.block(app, () =>
            Promise.all([app.pool.query('select 1 / 0'), insert.execute({ text: 'a' })]),
          )
          expect(await failureOf(nested)).toMatchObject({ code: '22012' })
          await Promise.all([insert.execute({ text: 'b' }), insert.execute({ text: 'c' })])
        })
        expect(await app.rows()).toEqual(['b', 'c'])
      })
    },
  )
})
