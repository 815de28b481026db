import { drizzle } from 'drizzle-orm/node-postgres'
import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { notes } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { recorder } from '../setup/recorder.ts'
import { type Plain, withShared } from '../setup/with-shared.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

const texts = ['a', 'b', 'c', 'd']

describe.each(joining)('with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)

  test("statements issued together through Kysely's trx leave together", async () => {
    clear()
    await app.db
      .transaction()
      .execute((trx) =>
        Promise.all(texts.map((text) => trx.insertInto('note').values({ text }).execute())),
      )
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual(texts)
  })

  test("statements issued together through Drizzle's tx leave together, nested, too", async () => {
    clear()
    await app.orm.transaction(async (tx) => {
      await Promise.all(['a', 'b'].map((text) => tx.insert(notes).values({ text })))
      await tx.transaction((nested) =>
        Promise.all(['c', 'd'].map((text) => nested.insert(notes).values({ text }))),
      )
    })
    expect(trips()).toBe(3)
    expect(await app.rows()).toEqual(texts)
  })

  test('statements issued together through a controlled transaction leave together', async () => {
    clear()
    const trx = await app.db.startTransaction().execute()
    await Promise.all(['a', 'b'].map((text) => trx.insertInto('note').values({ text }).execute()))
    const nested = await trx.savepoint('mark').execute()
    await Promise.all(
      ['c', 'd'].map((text) => nested.insertInto('note').values({ text }).execute()),
    )
    await nested.releaseSavepoint('mark').execute()
    await trx.commit().execute()
    expect(sent()).toEqual([
      'begin',
      'insert',
      'insert',
      'savepoint "mark"',
      'insert',
      'insert',
      'commit',
    ])
    expect(trips()).toBe(3)
    expect(await app.rows()).toEqual(texts)
  })

  test('a statement from outside does not come among them', async () => {
    clear()
    const running = app.shared.transaction(() => Promise.all(texts.map((text) => note(app, text))))
    await Promise.all([running, note(app, 'outside')])
    expect(sent()).toEqual(['begin', 'insert', 'insert', 'insert', 'insert', 'commit', 'insert'])
    expect(await app.rows()).toEqual([...texts, 'outside'])
  })

  test('statements issued in the ticks of one turn leave together, or behind', async () => {
    clear()
    await app.shared.transaction(async () => {
      const ticked = new Promise<unknown>((resolve) => {
        process.nextTick(() => resolve(Promise.all([note(app, 'c'), note(app, 'd')])))
      })
      await Promise.all([note(app, 'a'), note(app, 'b'), ticked])
    })
    expect(trips()).toBeLessThanOrEqual(3)
    expect(await app.rows()).toEqual(texts)
  })

  test('statements leave together between two pages of a stream', async () => {
    if (options.pool?.pipeline) return
    await app.observer.query("insert into note (text) select 's' || i from generate_series(1, 6) i")
    clear()
    const seen: string[] = []
    await app.shared.transaction(async () => {
      const rows = app.db.selectFrom('note').select('text').orderBy('id').stream(2)
      let at = 0
      for await (const row of rows) {
        seen.push(row.text)
        if (++at % 3 === 0) {
          await Promise.all([note(app, `${at} a`), note(app, `${at} b`), note(app, `${at} c`)])
        }
      }
    })
    expect(seen).toEqual(['s1', 's2', 's3', 's4', 's5', 's6'])
    expect((await app.rows()).slice(6)).toEqual(['3 a', '3 b', '3 c', '6 a', '6 b', '6 c'])
    const verbs = sent()
    expect(verbs).toEqual(['begin', 'select', ...Array(6).fill('insert'), 'commit'])
  })

  test('retry finds the error that failed behind a StatementSkippedError', async () => {
    let tries = 0
    const conflict = "do $$ begin raise exception using errcode = '40001'; end $$"
    await app.shared.transaction(
      async () => {
        tries++
        const first = tries === 1 ? app.pool.query(conflict) : note(app, 'a')
        first.catch(() => undefined)
        await note(app, 'b')
      },
      { retry: { limit: 2, delay: 1 } },
    )
    expect(tries).toBe(2)
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('a joined block that fails among them makes the transaction rollback-only', async () => {
    const fates: string[] = []
    const error = await failureOf(
      app.shared.transaction(async () => {
        fates.push(
          ...(await fatesOf([
            note(app, 'a'),
            app.shared.transaction(() => Promise.all([note(app, 'a'), note(app, 'b')]), {
              propagation: 'required',
            }),
            note(app, 'c'),
          ])),
        )
      }),
    )
    expect(fates[0]).toBe('done')
    expect(fates[1]).toBe('error 23505')
    expect(['RollbackOnlyError', 'TransactionAbortedError']).toContain(error.name)
    expect(await app.rows()).toEqual([])
  })
})

describe('a single client', () => {
  const { app } = useRecordedApp()

  test('sends together the statements that are issued together in its transaction', async () => {
    const wire = recorder()
    const client = new Client({ connectionString: app.url, stream: () => wire.stream() })
    await client.connect()
    const orm = drizzle({ client }) as unknown as Plain
    await withShared(orm, async (shared) => {
      wire.clear()
      await shared.transaction(({ tx }) =>
        Promise.all(texts.map((text) => tx.insert(notes).values({ text }))),
      )
      expect(wire.trips()).toBe(2)
    })
    expect(await app.rows()).toEqual(texts)
  })
})
