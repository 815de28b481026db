import { describe, expect, test } from 'vitest'
import type { Schema } from '../setup/app.ts'
import { worlds } from '../setup/worlds.ts'
import { joining, note, oneOfEach, useRecordedApp } from '../setup/recorded-app.ts'

describe.each(joining)('with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)

  describe.each(worlds)('$name', ({ outer, inner }) => {
    test('an empty transaction, however deep, costs no round trip', async () => {
      clear()
      await outer.block(app, () => inner.block(app, () => outer.block(app, async () => undefined)))
      expect(sent()).toEqual([])
      expect(trips()).toBe(0)
    })

    test('n statements one after the other cost n + 1 round trips, however deep', async () => {
      clear()
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          await outer.block(app, () => outer.note(app, 'c'))
          await inner.note(app, 'd')
        })
        await inner.block(app, () => inner.note(app, 'e'))
      })
      expect(trips()).toBe(6)
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e'])
    })

    test('statements issued together cost 2 round trips, and leave in their order', async () => {
      clear()
      const texts = Array.from({ length: 10 }, (_, at) => `${at}`)
      await outer.block(app, () =>
        Promise.all(texts.map((text, at) => (at % 2 ? outer : inner).note(app, text))),
      )
      const inserts = texts.map(() => 'insert')
      expect(sent()).toEqual([expect.stringMatching(/^begin/), ...inserts, 'commit'])
      expect(trips()).toBe(2)
      expect((await app.rows()).toSorted()).toEqual(texts)
    })

    test('statements issued together in a nested block leave with its SAVEPOINT', async () => {
      clear()
      await outer.block(app, async () => {
        await outer.note(app, 'p')
        await inner.block(app, () =>
          Promise.all([inner.note(app, 'a'), outer.note(app, 'b'), inner.note(app, 'c')]),
        )
        await Promise.all([outer.note(app, 'd'), inner.note(app, 'e')])
      })
      expect(sent()).toEqual([
        expect.stringMatching(/^begin/),
        'insert',
        expect.stringMatching(/^savepoint/),
        'insert',
        'insert',
        'insert',
        expect.stringMatching(/^release/),
        'insert',
        'insert',
        'commit',
      ])
      expect(trips()).toBe(4)
      expect((await app.rows()).length).toBe(6)
    })

    test('siblings issued together take turns, each with what it issues together', async () => {
      clear()
      const sibling = (first: string, second: string) => () =>
        Promise.all([inner.note(app, first), outer.note(app, second)])
      await outer.block(app, () =>
        Promise.all([
          inner.block(app, sibling('a', 'b')),
          inner.block(app, sibling('c', 'd')),
          outer.note(app, 'p'),
        ]),
      )
      expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'c', 'd', 'p'])
      expect(trips()).toBeLessThanOrEqual(4)
    })
  })

  test('each layer gets the answers to its own statements', async () => {
    clear()
    const answers = await app.shared.transaction(() => Promise.all(oneOfEach(app, 'a', 'b', 'c')))
    expect(answers).toEqual([['a'], ['b'], ['c']])
    expect(trips()).toBe(2)
  })

  test("the statements of Kysely's trx and of Drizzle's tx leave together, too", async () => {
    clear()
    await app.shared.transaction(async ({ tx }) => {
      const db = app.shared.kyselyFor<Schema>(tx)
      await Promise.all([
        tx.execute("insert into note (text) values ('a')"),
        db.insertInto('note').values({ text: 'b' }).execute(),
        db.insertInto('note').values({ text: 'c' }).execute(),
        tx.execute("insert into note (text) values ('d')"),
        note(app, 'e'),
      ])
    })
    expect(trips()).toBe(2)
    expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('the order of arrival is kept', async () => {
    const texts = Array.from({ length: 300 }, (_, at) => `${at}`)
    clear()
    await app.shared.transaction(() => Promise.all(texts.map((text) => note(app, text))))
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual(texts)
  })

  test('thousands leave together, with answers of megabytes on the way back', async () => {
    clear()
    const answers = await app.shared.transaction(() =>
      Promise.all(
        Array.from({ length: 3_000 }, (_, at) =>
          app.pool.query<{ text: string }>('select repeat($1, 2000) as text', [String(at % 10)]),
        ),
      ),
    )
    expect(trips()).toBe(2)
    expect(answers.every(({ rows }, at) => rows[0]?.text === String(at % 10).repeat(2000))).toBe(
      true,
    )
  })

  test('statements issued while others are in flight leave together behind them', async () => {
    clear()
    await app.shared.transaction(async () => {
      const first = [note(app, 'a'), note(app, 'b')]
      await new Promise(setImmediate)
      await Promise.all([...first, note(app, 'c'), note(app, 'd'), note(app, 'e')])
    })
    expect(trips()).toBe(3)
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('statements issued by callback leave together', async () => {
    clear()
    await app.shared.transaction(
      () =>
        new Promise<void>((resolve) => {
          let left = 3
          const done = () => void (--left || resolve())
          for (const text of ['a', 'b', 'c']) {
            app.pool.query('insert into note (text) values ($1)', [text], done)
          }
        }),
    )
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test('statements of a before-commit hook leave together, too', async () => {
    clear()
    await app.shared.transaction(async () => {
      await app.shared.beforeCommit(() => Promise.all(oneOfEach(app, 'x', 'y', 'z')))
      await note(app, 'a')
    })
    expect(trips()).toBe(3)
    expect((await app.rows()).toSorted()).toEqual(['a', 'x', 'y', 'z'])
  })

  test('a manual transaction on a client costs as few round trips', async () => {
    clear()
    const client = await app.pool.connect()
    await client.query('begin')
    await Promise.all(
      ['a', 'b', 'c'].map((text) => client.query('insert into note (text) values ($1)', [text])),
    )
    await client.query('commit')
    client.release()
    expect(sent()).toEqual(['begin', 'insert', 'insert', 'insert', 'commit'])
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test('outside a transaction each statement is a round trip of its own', async () => {
    clear()
    await Promise.all(oneOfEach(app, 'a', 'b', 'c'))
    expect(trips()).toBe(3)
    expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'c'])
  })
})

describe('if nothing is deferred', () => {
  const { app, sent, trips, clear } = useRecordedApp({ shared: { lazy: false } })

  test('each statement leaves alone, in the same order', async () => {
    clear()
    await app.shared.transaction(() => Promise.all(['a', 'b', 'c'].map((text) => note(app, text))))
    expect(sent()).toEqual(['begin', 'insert', 'insert', 'insert', 'commit'])
    expect(trips()).toBe(5)
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test('an error in the middle is as in stock: the server refuses each statement behind it', async () => {
    const codes: unknown[] = []
    const error = await app.shared
      .transaction(async () => {
        const settled = await Promise.allSettled(['a', 'a', 'b'].map((text) => note(app, text)))
        codes.push(...settled.map((one) => (one.status === 'rejected' ? one.reason.code : 'done')))
      })
      .catch((reason: Error) => reason)
    expect(codes).toEqual(['done', '23505', '25P02'])
    expect(error).toMatchObject({ name: 'TransactionAbortedError', cause: { code: '23505' } })
    expect(await app.rows()).toEqual([])
  })
})
