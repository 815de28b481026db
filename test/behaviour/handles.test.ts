import type { SharedConnection } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { drizzleSpeaker, kyselySpeaker } from '../setup/worlds.ts'

const app = useApp()

describe("the other layer's handle of the same transaction", () => {
  test('kyselyFor(tx)', async () => {
    await app.orm.transaction(async (tx) => {
      await app.shared.outside(async () => {
        const trx = app.shared.kyselyFor<Schema>(tx)
        await trx.insertInto('note').values({ text: 'a' }).execute()
        await trx
          .transaction()
          .execute((trx2) => trx2.insertInto('note').values({ text: 'b' }).execute())
        expect(trx.isTransaction).toBe(true)
      })
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
  })

  test('drizzleFor(trx)', async () => {
    await app.db.transaction().execute(async (trx) => {
      await app.shared.outside(async () => {
        const tx = app.shared.drizzleFor(trx)
        await tx.insert(notes).values({ text: 'a' })
        await tx.transaction((tx2) => tx2.insert(notes).values({ text: 'b' }))
      })
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
  })

  test('of a savepoint: its work is rolled back with the savepoint', async () => {
    await app.orm.transaction(async (tx) => {
      const failing = tx.transaction(async (tx2) => {
        const trx2 = app.shared.kyselyFor<Schema>(tx2)
        await app.shared.outside(() => trx2.insertInto('note').values({ text: 'a' }).execute())
        throw new Error('boom')
      })
      await expect(failing).rejects.toThrow('boom')
      await app.shared.kyselyFor<Schema>(tx).insertInto('note').values({ text: 'b' }).execute()
    })
    expect(await app.rows()).toEqual(['b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert a',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert b',
      'commit',
    ])
  })

  test('of a controlled transaction', async () => {
    const trx = await app.db.startTransaction().execute()
    await app.shared.drizzleFor(trx).insert(notes).values({ text: 'a' })
    expect(await app.rows()).toEqual([])
    await trx.commit().execute()
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('a handle of the same layer is itself', async () => {
    await app.shared.transaction(async ({ tx, trx }) => {
      expect(app.shared.drizzleFor(tx)).toBe(tx)
      expect(app.shared.kyselyFor(trx)).toBe(trx)
      await tx.insert(notes).values({ text: 'a' })
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('kyselyFor() has the plugins of the database that it is given', async () => {
    const db = app.db.withSchema('public')
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      const found = app.shared.kyselyFor<Schema>(tx, db).selectFrom('note').selectAll()
      expect(found.compile().sql).toContain('"public"."note"')
      expect(await found.execute()).toEqual([{ id: 1, text: 'a' }])
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
  })
})

describe('within(handle)', () => {
  test('makes it the ambient one', async () => {
    await app.orm.transaction(async (tx) => {
      await app.shared.outside(async () => {
        expect(app.shared.inTransaction).toBe(false)
        const value = await app.shared.within(tx, async () => {
          expect(app.shared.inTransaction).toBe(true)
          await kyselySpeaker.note(app, 'a')
          await drizzleSpeaker.note(app, 'b')
          return 5
        })
        expect(value).toBe(5)
      })
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  })

  test('works for lazy builders that are returned', async () => {
    const trx = await app.db.startTransaction().execute()
    await app.shared.within(trx, () => app.orm.insert(notes).values({ text: 'a' }))
    await trx.rollback().execute()
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })

  test('a handle that has ended is refused', async () => {
    const tx = await app.orm.transaction((handle) => Promise.resolve(handle))
    const failure = await failureOf(app.shared.within(tx, () => kyselySpeaker.note(app, 'a')))
    expect(failure.name).toBe('TransactionClosedError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([])
  })
})

describe('outside()', () => {
  test('leaves the transaction', async () => {
    const failing = app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await app.shared.outside(async () => {
        await kyselySpeaker.note(app, 'kept')
        await app.orm.transaction((other) => other.insert(notes).values({ text: 'kept too' }))
      })
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await app.rows()).toEqual(['kept', 'kept too'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'insert kept',
      'begin',
      'insert kept too',
      'commit',
      'rollback',
    ])
  })

  test('handles still belong to their transaction', async () => {
    const failing = app.orm.transaction(async (tx) => {
      await app.shared.outside(() => tx.insert(notes).values({ text: 'a' }))
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })
})

describe('of(handle)', () => {
  test('is the frame of the handle', async () => {
    await app.orm.transaction(async (tx) => {
      expect(app.shared.of(tx)).toMatchObject({ depth: 1, layer: 'drizzle', state: 'open' })
      await tx.transaction(async (tx2) => {
        expect(app.shared.of(tx2)).toMatchObject({ depth: 2, name: 'sp1', kind: 'savepoint' })
        const trx = app.shared.kyselyFor(tx2)
        expect(app.shared.of(trx).id).toBe(app.shared.of(tx2).id)
      })
    })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([])
  })

  test.each([
    ['of', (shared: SharedConnection, given: object) => shared.of(given)],
    ['drizzleFor', (shared: SharedConnection, given: object) => shared.drizzleFor(given)],
    ['kyselyFor', (shared: SharedConnection, given: object) => shared.kyselyFor(given)],
  ] as const)('%s() refuses what is no handle, and says what is', async (_, call) => {
    for (const given of [{}, app.db, app.orm, app.pool, [] as object]) {
      expect(() => call(app.shared as unknown as SharedConnection, given)).toThrow(
        expect.objectContaining({
          name: 'InvalidArgumentError',
          message: expect.stringMatching(
            /a transaction handle of .*, got .*\. Give the tx or trx/,
          ) as string,
        }),
      )
    }
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([])
  })
})
