import * as library from 'kysely'
import { TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, replies, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { kyselySpeaker, manners, sentIn, speakers, worlds, worldsIn } from '../setup/worlds.ts'

const FAILING = 'select 1 / 0'

describe.each(manners)('$name', (manner) => {
  const app = useApp(manner.options)
  const expectSent = (lines: string[]): void =>
    expect(app.transcript.lines()).toEqual(sentIn(manner, lines))

  describe.each(worldsIn(manner))('$name', ({ outer, inner }) => {
    test('a swallowed error cannot commit: TransactionAbortedError with its cause', async () => {
      const hooks: string[] = []
      let swallowed: Error | undefined
      const failing = outer.block(app, async () => {
        await app.shared.afterCommit(() => void hooks.push('commit'))
        await app.shared.afterRollback(() => void hooks.push('rollback'))
        await outer.note(app, 'a')
        await inner.note(app, 'b')
        swallowed = await failureOf(inner.note(app, 'b'))
      })
      const failure = await failureOf(failing)
      expect(failure).toBeInstanceOf(TransactionAbortedError)
      expect(failure.cause).toMatchObject({ code: '23505' })
      expect(failure.cause).toBe(swallowed)
      expect(hooks).toEqual(['rollback'])
      expect(await app.rows()).toEqual([])
      const lines = app.transcript.lines()
      expect(lines.slice(0, 4)).toEqual(['begin', 'insert a', 'insert b', 'insert b'])
      expect(lines.slice(4).join()).toMatch(/^(commit|rollback|commit,rollback)$/)
    })

    test('an error swallowed in a savepoint rolls back only that savepoint', async () => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        const failing = inner.block(app, async () => {
          await inner.note(app, 'b')
          await failureOf(app.pool.query(FAILING))
        })
        expect(await failureOf(failing)).toMatchObject({
          name: 'TransactionAbortedError',
          cause: { code: '22012' },
        })
        await outer.note(app, 'c')
      })
      expect(await app.rows()).toEqual(['a', 'c'])
      expectSent([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'select',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'insert c',
        'commit',
      ])
    })

    test('a savepoint saves the transaction from an error in it', async () => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        const failing = inner.block(app, () => app.pool.query(FAILING))
        expect(await failureOf(failing)).toMatchObject({ code: '22012' })
        await inner.block(app, () => inner.note(app, 'b'))
      })
      expect(await app.rows()).toEqual(['a', 'b'])
      expectSent([
        'begin',
        'insert a',
        'savepoint sp1',
        'select',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'savepoint sp1',
        'insert b',
        '(release savepoint sp1)',
        'commit',
      ])
    })

    test('a block in an aborted transaction is refused before its callback runs', async () => {
      let ran = false
      const failing = outer.block(app, async () => {
        await outer.note(app, 'a')
        await failureOf(app.pool.query(FAILING))
        await inner.block(app, () => {
          ran = true
          return Promise.resolve()
        })
      })
      expect(await failureOf(failing)).toMatchObject({
        name: 'TransactionAbortedError',
        cause: { code: '22012' },
      })
      expect(ran).toBe(false)
      expect(await app.rows()).toEqual([])
      expectSent(['begin', 'insert a', 'select', 'rollback'])
    })

    test('a statement in an aborted transaction rejects with the error of PostgreSQL', async () => {
      const failing = outer.block(app, async () => {
        await outer.note(app, 'a')
        await failureOf(app.pool.query(FAILING))
        expect(app.shared.current?.state).toBe('aborted')
        await inner.note(app, 'b')
      })
      expect(await failureOf(failing)).toMatchObject({ code: '25P02' })
      expect(await app.rows()).toEqual([])
      expectSent(['begin', 'insert a', 'select', 'insert b', 'rollback'])
    })
  })

  test.each(speakers)('$name: a constraint that is checked at COMMIT', async (speaker) => {
    const hooks: string[] = []
    const failing = speaker.block(app, async () => {
      await app.pool.query('set constraints all deferred')
      await speaker.note(app, 'a')
      await app.orm.insert(replies).values({ note_id: 999, text: 'to nothing' })
      await app.shared.afterCommit(() => void hooks.push('commit'))
      await app.shared.afterRollback(() => void hooks.push('rollback'))
    })
    expect(await failureOf(failing)).toMatchObject({ code: '23503' })
    expect(hooks).toEqual(['rollback'])
    expect(app.shared.inTransaction).toBe(false)
    expect(await app.rows()).toEqual([])
    const lines = app.transcript.lines()
    expect(lines.slice(0, 5)).toEqual([
      'begin',
      'set',
      'insert a',
      'insert 999 to nothing',
      'commit',
    ])
    // The connection can be used for the next transaction.
    await speaker.note(app, 'b')
    expect(await app.rows()).toEqual(['b'])
    expect(app.pool.totalCount).toBeLessThanOrEqual(1)
  })

  test('a deferred constraint that holds at COMMIT', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.execute('set constraints all deferred')
      await tx.insert(replies).values({ note_id: 7, text: 'early' })
      await app.db.insertInto('note').values({ id: 7, text: 'late' }).execute()
    })
    expect(await app.rows()).toEqual(['late'])
    expectSent(['begin', 'set', 'insert 7 early', 'insert 7 late', 'commit'])
  })
})

describe('on a pool of one', () => {
  const app = useApp({ pool: { max: 1 } })

  describe.each(worlds)('$name: a swallowed error', ({ outer, inner }) => {
    test('in the outer block is detected at COMMIT', async () => {
      const error = await failureOf(
        outer.block(app, async () => {
          await outer.note(app, 'a')
          await failureOf(app.pool.query(FAILING))
        }),
      )
      expect(error).toBeInstanceOf(TransactionAbortedError)
      expect(error.cause).toMatchObject({ code: '22012' })
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
    })

    test('at depth 3, swallowed again outside, does not affect earlier writes', async () => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          await failureOf(
            outer.block(app, async () => {
              await outer.note(app, 'c')
              await failureOf(app.pool.query(FAILING))
            }),
          )
          await inner.note(app, 'd')
        })
      })
      expect(await app.rows()).toEqual(['a', 'b', 'd'])
      expect(app.transcript.lines().at(-1)).toBe('commit')
    })

    test('keeps a nested block from running at all', async () => {
      const ran: string[] = []
      const error = await failureOf(
        outer.block(app, async () => {
          await outer.note(app, 'a')
          await failureOf(app.pool.query(FAILING))
          const nested = inner.block(app, () => Promise.resolve(ran.push('nested')))
          expect(await failureOf(nested)).toBeInstanceOf(TransactionAbortedError)
        }),
      )
      expect(error).toBeInstanceOf(TransactionAbortedError)
      expect(ran).toEqual([])
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
    })
  })
})

describe('brands', () => {
  const app = useApp()

  test("Kysely's isAbortedTransactionError() holds, where there is one", async () => {
    const { isAbortedTransactionError } = library as {
      isAbortedTransactionError?: (error: unknown) => boolean
    }
    for (const speaker of speakers) {
      const failure = await failureOf(
        speaker.block(app, async () => {
          await failureOf(app.pool.query(FAILING))
        }),
      )
      expect(failure.name).toBe('TransactionAbortedError')
      expect(isAbortedTransactionError?.(failure) ?? true).toBe(true)
    }
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().slice(0, 2)).toEqual(['begin', 'select'])
  })

  test('the commit of a controlled transaction rejects with the real outcome', async () => {
    const trx = await app.db.startTransaction().execute()
    await trx.insertInto('note').values({ text: 'a' }).execute()
    await failureOf(trx.insertInto('note').values({ text: 'a' }).execute())
    expect((await failureOf(trx.commit().execute())).name).toBe('TransactionAbortedError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().slice(0, 3)).toEqual(['begin', 'insert a', 'insert a'])
  })

  test('a serialization failure in a savepoint: the rest goes on', async () => {
    await app.observer.query(`insert into note (text) values ('x')`)
    const serializable = { isolationLevel: 'repeatable read' } as const
    await app.orm.transaction(async (tx) => {
      await tx.select().from(notes)
      await app.observer.query(`update note set text = 'y'`)
      const failing = app.db.transaction().execute(async (trx) => {
        await trx.updateTable('note').set({ text: 'z' }).execute()
      })
      expect(await failureOf(failing)).toMatchObject({ code: '40001' })
      await kyselySpeaker.note(app, 'a')
    }, serializable)
    expect((await app.rows()).toSorted()).toEqual(['a', 'y'])
    expect(app.transcript.lines()).toEqual([
      'begin isolation level repeatable read',
      'select',
      'savepoint sp1',
      'update z',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert a',
      'commit',
    ])
  })
})
