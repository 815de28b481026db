import { describe, expect, test } from 'vitest'
import { notes } from '../setup/app.ts'
import { useCachedApp } from '../setup/cached-app.ts'
import { failureOf } from '../setup/failure.ts'
import { note, oneOfEach, useRecordedApp } from '../setup/recorded-app.ts'

describe('on the channel', () => {
  const { app, sent, clear } = useRecordedApp()

  test('each statement has one event, with its own answer, in the order of the wire', async () => {
    clear()
    await app.shared.transaction(async () => {
      await Promise.all([
        app.pool.query("insert into note (text) values ('a'), ('b'), ('c')"),
        ...oneOfEach(app, 'd', 'e', 'f'),
      ])
      await Promise.all([
        app.pool.query('update note set text = text || $1', ['!']),
        app.pool.query('select text from note'),
        app.pool.query(''),
      ])
    })
    const events = app.transcript.events()
    expect(events.map(({ command, rowCount }) => `${command} ${rowCount}`)).toEqual([
      'undefined undefined',
      'INSERT 3',
      ...events.slice(2, 5).map(() => 'INSERT 1'),
      'UPDATE 6',
      'SELECT 6',
      'null null',
      'COMMIT null',
    ])
    expect(new Set(events.map(({ seq }) => seq)).size).toBe(events.length)
    expect(events.map(({ layer }) => layer).toSorted()).toEqual(
      ['drizzle', 'kysely', 'pg', 'pg', 'pg', 'pg', 'pg', 'shared', 'shared'].toSorted(),
    )
    const verbs = events.map(({ sql }) => sql.split(' ', 1)[0])
    expect(verbs).toEqual(sent())
    for (const event of events) {
      expect(event).toMatchObject({ transaction: events[0]?.transaction, depth: 1 })
      expect(event.duration).toBeGreaterThanOrEqual(0)
      expect(event.error).toBeUndefined()
    }
  })

  test('a skipped statement has its own error, behind that of the failed one', async () => {
    clear()
    await failureOf(
      app.shared.transaction(async () => {
        await Promise.allSettled([note(app, 'a'), app.pool.query('select 1 / 0'), note(app, 'b')])
      }),
    )
    const events = app.transcript.events()
    expect(events.map(({ sqlstate }) => sqlstate)).toEqual([
      undefined,
      undefined,
      '22012',
      '25P02',
      undefined,
    ])
    expect(events[3]?.error).toMatchObject({
      name: 'StatementSkippedError',
      sql: events[3]?.sql,
      cause: events[2]?.error,
    })
    expect(events.map(({ command }) => command)).toEqual([
      undefined,
      'INSERT',
      undefined,
      undefined,
      'ROLLBACK',
    ])
  })

  test('a statement that was never sent has no place on the wire', async () => {
    clear()
    await failureOf(
      app.shared.transaction(async () => {
        void note(app, 'a').catch(() => undefined)
        void note(app, 'b').catch(() => undefined)
        throw new Error('boom')
      }),
    )
    await new Promise(setImmediate)
    expect(app.transcript.events()).toEqual([])
  })
})

describe.each(['all', 'explicit'] as const)("Drizzle's cache with the strategy %s", (strategy) => {
  const app = useCachedApp(strategy)

  test('forgets after COMMIT the tables that both layers have written together', async () => {
    await app.warm()
    expect(await app.cached()).toEqual([])
    await app.shared.transaction(() =>
      Promise.all([
        app.orm.insert(notes).values({ text: 'a' }),
        app.db.insertInto('note').values({ text: 'b' }).execute(),
        app.cached(),
      ]),
    )
    expect((await app.cached()).toSorted()).toEqual(['a', 'b'])
  })

  test('keeps its entries if the statements have failed', async () => {
    await app.orm.insert(notes).values({ text: 'a' })
    await app.warm()
    await failureOf(
      app.shared.transaction(() =>
        Promise.all([
          app.orm.insert(notes).values({ text: 'b' }),
          app.db.insertInto('note').values({ text: 'a' }).execute(),
          app.cached(),
        ]),
      ),
    )
    expect(await app.cached()).toEqual(['a'])
  })
})
