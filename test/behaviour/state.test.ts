import type { TransactionFrame } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { manners, sentIn, speakers, worldsIn } from '../setup/worlds.ts'

// The manner of sending does not matter for reading the state.
describe.each(manners.slice(0, 2))('$name', (manner) => {
  const app = useApp(manner.options)
  const inTransaction = (): boolean[] => [app.shared.inTransaction, app.db.inTransaction]

  describe.each(worldsIn(manner))('$name', ({ outer, inner }) => {
    test('inTransaction is true inside, and false afterwards', async () => {
      const seen: unknown[] = []
      const look = (): void => void seen.push(...inTransaction())
      look()
      await outer.block(app, async () => {
        look()
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          look()
        })
        look()
      })
      look()
      expect(seen).toEqual([false, false, true, true, true, true, true, true, false, false])
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines()).toEqual(
        sentIn(manner, [
          'begin',
          'insert a',
          'savepoint sp1',
          'insert b',
          '(release savepoint sp1)',
          'commit',
        ]),
      )
    })

    test('current contains every frame, and is the same through both layers', async () => {
      expect(app.shared.current).toBeUndefined()
      await outer.block(app, async () => {
        const root = app.shared.current
        expect(root).toMatchObject({ depth: 1, holder: outer.name, state: 'open' })
        await inner.block(app, async () => {
          expect(app.db.shared.current).toEqual(app.shared.current)
          expect(app.shared.current).toMatchObject({
            id: root?.id,
            depth: 2,
            holder: outer.name,
            frames: [
              { layer: outer.name, kind: 'transaction', name: undefined, state: 'open' },
              { layer: inner.name, kind: 'savepoint', name: 'sp1', state: 'open' },
            ],
          })
        })
        expect(app.shared.current).toEqual(root)
      })
      expect(app.shared.current).toBeUndefined()
      // Reading the state sends nothing.
      const quiet = ['(begin)', '(savepoint sp1)', '(release savepoint sp1)', '(commit)']
      expect(app.transcript.lines()).toEqual(sentIn(manner, quiet))
      expect(await app.rows()).toEqual([])
    })
  })
})

describe('frames', () => {
  const app = useApp()

  test('the state of a frame that has committed is committed', async () => {
    let outer: TransactionFrame | undefined
    let inner: TransactionFrame | undefined
    await app.shared.transaction(async ({ tx, frame }) => {
      outer = frame
      await tx.insert(notes).values({ text: 'a' })
      await app.shared.transaction(async (context) => {
        inner = context.frame
        await context.tx.insert(notes).values({ text: 'b' })
        expect([outer?.state, inner?.state]).toEqual(['open', 'open'])
      })
      expect(inner?.state).toBe('released')
    })
    expect(outer).toMatchObject({ state: 'committed', depth: 1, kind: 'transaction' })
    expect(inner).toMatchObject({ depth: 2, kind: 'savepoint', name: 'sp1', layer: 'shared' })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
  })

  test.each(speakers)(
    'the state of a frame is its outcome, also when $name holds it',
    async (speaker) => {
      const frames: TransactionFrame[] = []
      const end = (error?: Error) =>
        speaker.block(app, async () => {
          // A joined block is in the frame of the transaction.
          await app.shared.transaction(({ frame }) => void frames.push(frame), {
            propagation: 'required',
          })
          await speaker.note(app, 'a')
          if (error) throw error
        })
      await end()
      await expect(end(new Error('boom'))).rejects.toThrow()
      expect(frames.map(({ state, layer }) => [state, layer])).toEqual([
        ['committed', speaker.name],
        ['rolled-back', speaker.name],
      ])
      expect(await app.rows()).toEqual(['a'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'commit',
        'begin',
        'insert a',
        'rollback',
      ])
    },
  )

  test('a released frame is rolled back when the one around it is', async () => {
    let inner: TransactionFrame | undefined
    const failing = app.shared.transaction(async () => {
      await app.shared.transaction(async ({ tx, frame }) => {
        inner = frame
        await tx.insert(notes).values({ text: 'a' })
      })
      expect(inner?.state).toBe('released')
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(inner?.state).toBe('rolled-back')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'rollback'])
  })

  test('ids are those of the events', async () => {
    const ids = new Set<number | undefined>()
    await app.orm.transaction(async (tx) => {
      ids.add(app.shared.current?.id)
      ids.add(app.shared.of(tx).id)
      await app.db.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'a' }).execute()
        ids.add(app.shared.current?.id)
      })
    })
    for (const { transaction } of app.transcript.events()) ids.add(transaction)
    expect(ids.size).toBe(1)
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'commit'])
  })

  test('handles are refused after the end, and nothing falls back to the pool', async () => {
    const kept = await app.shared.transaction(async ({ tx, trx, frame }) => {
      await tx.insert(notes).values({ text: 'a' })
      return { tx, trx: trx.withTables<Pick<Schema, 'note'>>(), frame }
    })
    const uses = [
      () => kept.tx.insert(notes).values({ text: 'late' }).execute(),
      () => kept.trx.insertInto('note').values({ text: 'late' }).execute(),
      () => kept.tx.transaction(() => Promise.resolve()),
      () => kept.trx.transaction().execute(() => Promise.resolve()),
      () => kept.frame.afterCommit(() => {}),
      () => kept.trx.afterCommit(() => {}),
    ]
    for (const use of uses) {
      const failure = await failureOf(use())
      expect(failure.name).toBe('TransactionClosedError')
      expect(failure.message).toMatch(/committed.*shared\.outside\(\)/s)
      expect(failure.message).toContain('state.test.ts')
    }
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test.each(speakers)('$name: a statement that leaks past the end is refused', async (speaker) => {
    let late: Promise<unknown> | undefined
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      late = new Promise((resolve) => setTimeout(resolve, 30)).then(() => speaker.note(app, 'late'))
      late.catch(() => {})
    })
    expect((await failureOf(late as Promise<unknown>)).name).toBe('TransactionClosedError')
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('no statement enters while COMMIT is in flight', async () => {
    const kept: Promise<unknown>[] = []
    const done = app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      // This runs when the block has resolved, before the answer to COMMIT.
      setImmediate(() => kept.push(failureOf(tx.insert(notes).values({ text: 'late' }))))
    })
    await done
    await new Promise(setImmediate)
    expect(await kept[0]).toMatchObject({ name: 'TransactionClosedError' })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('reading the state acquires no client', async () => {
    const before = app.pool.totalCount
    await app.db.afterRollback(() => {})
    expect([app.shared.inTransaction, app.shared.current, app.db.inTransaction]).toEqual([
      false,
      undefined,
      false,
    ])
    await app.db.afterCommit(() => {})
    expect(app.pool.totalCount).toBe(before)
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })
})
