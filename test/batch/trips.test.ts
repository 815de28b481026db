import { describe, expect, test } from 'vitest'
import { useFaultyApp } from '../faults/app.ts'
import { type App, notes, replies } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { joining, useRecordedApp } from '../setup/recorded-app.ts'

/** Ten builders of both layers. */
function ten(app: App) {
  return Array.from({ length: 10 }, (_, n) =>
    n % 2 === 0
      ? app.orm.insert(notes).values({ text: `${n}` })
      : app.db.insertInto('note').values({ text: `${n}` }),
  )
}

const inserts = Array<string>(10).fill('insert')
const texts = inserts.map((_, n) => `${n}`)

/** The same, and a statement that fails. */
const failing = (app: App) => [...ten(app), app.db.insertInto('note').values({ text: '0' })]

describe.each(joining)('a batch, with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)

  test('is one round trip, with BEGIN and COMMIT', async () => {
    clear()
    await app.shared.batch(ten(app))
    expect(sent()).toEqual(['begin', ...inserts, 'commit'])
    expect(trips()).toBe(1)
    expect(await app.rows()).toEqual(texts)
  })

  test('that fails takes one more round trip, to roll back', async () => {
    clear()
    expect(await failureOf(app.shared.batch(failing(app)))).toMatchObject({ code: '23505' })
    expect(sent().at(-1)).toBe('rollback')
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual([])
  })

  test('that is empty is no round trip', async () => {
    clear()
    expect(await app.shared.batch([])).toEqual([])
    expect(trips()).toBe(0)
  })

  describe.each(speakers)('in a transaction of $name', (speaker) => {
    test('is one round trip, with its savepoint', async () => {
      clear()
      await speaker.block(app, async () => {
        await speaker.note(app, 'first')
        expect(trips()).toBe(1)
        await app.shared.batch(ten(app))
        expect(trips()).toBe(2)
      })
      expect(sent()).toEqual([
        expect.stringMatching(/^begin/),
        'insert',
        'savepoint sp1',
        ...inserts,
        'commit',
      ])
      expect(trips()).toBe(3)
      expect(await app.rows()).toEqual(['first', ...texts])
    })

    test('is one round trip, with BEGIN if it is the first', async () => {
      clear()
      await speaker.block(app, () => app.shared.batch(ten(app)))
      expect(sent()).toEqual([
        expect.stringMatching(/^begin/),
        'savepoint sp1',
        ...inserts,
        'commit',
      ])
      expect(trips()).toBe(2)
      expect(await app.rows()).toEqual(texts)
    })

    test('that fails takes two round trips, and the transaction goes on', async () => {
      clear()
      await speaker.block(app, async () => {
        await speaker.note(app, 'first')
        const failure = await failureOf(app.shared.batch(failing(app)))
        expect(failure).toMatchObject({ code: '23505' })
        expect(trips()).toBe(3)
        await speaker.note(app, 'last')
      })
      expect(sent()).toContain('rollback to savepoint sp1')
      expect(trips()).toBe(5)
      expect(await app.rows()).toEqual(['first', 'last'])
    })
  })

  test('twice takes two round trips', async () => {
    clear()
    await app.shared.batch([app.orm.insert(notes).values({ text: 'a' })])
    await app.shared.batch([app.db.insertInto('note').values({ text: 'b' })])
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('with prepared statements of Drizzle is one round trip, also after one that has failed', async () => {
    const insert = app.orm.insert(notes).values({ text: 'a' }).prepare('batched insert')
    const select = app.orm.select({ text: notes.text }).from(notes).prepare('batched select')
    const fail = app.db.insertInto('reply').values({ note_id: 0, text: 'of nothing' })
    const failure = await failureOf(app.shared.batch([fail, insert, select]))
    expect(failure).toMatchObject({ code: '23503' })
    for (let time = 0; time < 2; time++) {
      clear()
      const [, found] = await app.shared.batch([insert, select])
      expect(found).toEqual([{ text: 'a' }])
      expect(trips()).toBe(1)
      await app.observer.query('delete from note')
    }
  })

  test('whose COMMIT is refused leaves nothing, and rejects with the reason', async () => {
    const orphan = app.orm.insert(replies).values({ note_id: 0, text: 'of nothing' })
    await app.observer.query(
      'alter table reply alter constraint reply_note_id_fkey initially deferred',
    )
    try {
      clear()
      const failure = await failureOf(app.shared.batch([...ten(app), orphan]))
      expect(failure).toMatchObject({ code: '23503' })
      expect(sent()).toEqual(['begin', ...inserts, 'insert', 'commit'])
      expect(trips()).toBe(1)
    } finally {
      await app.observer.query(
        'alter table reply alter constraint reply_note_id_fkey initially immediate',
      )
    }
    expect(await app.rows()).toEqual([])
    await app.shared.batch(ten(app))
    expect(await app.rows()).toEqual(texts)
  })

  test('with an item that cannot be pipelined is sent, and is atomic', async () => {
    const alone = {
      execute: () => app.pool.query({ text: 'select 1', query_timeout: 10_000 } as never),
    }
    clear()
    await app.shared.batch([...ten(app), alone])
    expect(sent()).toEqual(['begin', ...inserts, 'select', 'commit'])
    expect(await app.rows()).toEqual(texts)
    await failureOf(
      app.shared.batch([app.orm.insert(notes).values({ text: 'x' }), alone, ...ten(app)]),
    )
    expect(await app.rows()).toEqual(texts)
  })
})

describe('a batch through the fault proxy', () => {
  const { app, tripsOf } = useFaultyApp()

  test('is one round trip, two if it fails, none if it is empty', async () => {
    expect(await tripsOf(() => app.shared.batch(ten(app)))).toBe(1)
    expect(await tripsOf(() => failureOf(app.shared.batch(failing(app))))).toBe(2)
    expect(await tripsOf(() => app.shared.batch([]))).toBe(0)
    expect(await app.rows()).toEqual(texts)
  })

  test.each(speakers)('in a transaction of $name is one', async (speaker) => {
    const trips = await tripsOf(() =>
      speaker.block(app, async () => {
        await speaker.note(app, 'first')
        await app.shared.batch(ten(app))
      }),
    )
    expect(trips).toBe(3)
    expect(await app.rows()).toEqual(['first', ...texts])
  })
})
