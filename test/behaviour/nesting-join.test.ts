import { Rollback } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { drizzleSpeaker, kyselySpeaker, worlds } from '../setup/worlds.ts'

const app = useApp({ shared: { nesting: 'join' } })
const layers = worlds.filter(({ inner }) => inner.name !== 'shared')
const boom = new Error('boom')

describe.each(layers)("nesting: 'join', $name", ({ outer, inner }) => {
  test('a block inside opens nothing', async () => {
    const value = await outer.block(app, async () => {
      await outer.note(app, 'a')
      const depth = await inner.block(app, async () => {
        await inner.note(app, 'b')
        return app.shared.current?.depth
      })
      await outer.note(app, 'c')
      return depth
    })
    expect(value).toBe(1)
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'insert c', 'commit'])
  })

  test('an error inside that is not caught reaches the caller unchanged', async () => {
    const failing = outer.block(app, async () => {
      await inner.block(app, async () => {
        await inner.note(app, 'a')
        throw boom
      })
    })
    await expect(failing).rejects.toBe(boom)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })

  test('an error inside that is caught cannot commit half of the work', async () => {
    const failing = outer.block(app, async () => {
      await outer.note(app, 'a')
      const inside = inner.block(app, async () => {
        await inner.note(app, 'b')
        throw boom
      })
      await expect(inside).rejects.toBe(boom)
      await outer.note(app, 'c')
    })
    expect(await failureOf(failing)).toMatchObject({ name: 'RollbackOnlyError', cause: boom })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'insert b',
      'insert c',
      'rollback',
    ])
  })

  test('an error thrown later neither hides the first one nor is hidden', async () => {
    const later = new Error('later')
    const failing = outer.block(app, async () => {
      await inner.block(app, () => Promise.reject(boom)).catch(() => {})
      await outer.note(app, 'a')
      throw later
    })
    await expect(failing).rejects.toBe(later)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })
})

describe("nesting: 'join'", () => {
  test('a block inside a savepoint joins the savepoint', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      const savepoint = tx.transaction(async () => {
        const inside = kyselySpeaker.block(app, async () => {
          expect(app.shared.current?.depth).toBe(2)
          await kyselySpeaker.note(app, 'b')
          throw boom
        })
        await expect(inside).rejects.toBe(boom)
      })
      expect(await failureOf(savepoint)).toMatchObject({ name: 'RollbackOnlyError', cause: boom })
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'rollback to savepoint sp1',
      'commit',
    ])
  })

  test('tx.transaction(), savepoints of Kysely and shared.transaction() are still savepoints', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.transaction(() => drizzleSpeaker.note(app, 'a'))
      await app.shared.transaction(() => kyselySpeaker.note(app, 'b'))
    })
    const trx = await app.db.startTransaction().execute()
    const at = await trx.savepoint('mark').execute()
    await at.insertInto('note').values({ text: 'c' }).execute()
    await at.rollbackToSavepoint('mark').execute()
    await trx.commit().execute()
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert a',
      'release savepoint sp1',
      'savepoint sp1',
      'insert b',
      'commit',
      'begin',
      'savepoint "mark"',
      'insert c',
      'rollback to savepoint "mark"',
      'commit',
    ])
  })

  test('the isolation level of the open transaction is accepted, any other is refused', async () => {
    await app.orm.transaction(
      async (tx) => {
        const join = (level: 'serializable' | 'read committed') =>
          app.db
            .transaction()
            .setIsolationLevel(level)
            .execute(() => Promise.resolve())
        await join('serializable')
        expect((await failureOf(join('read committed'))).name).toBe('TransactionOptionError')
        await tx.insert(notes).values({ text: 'a' })
      },
      { isolationLevel: 'serializable' },
    )
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin isolation level serializable',
      'insert a',
      'commit',
    ])
  })

  test('a rollback on request goes through joined blocks to the one that owns the transaction', async () => {
    const value = await app.shared.transaction(async () => {
      await app.orm.insert(notes).values({ text: 'a' })
      await app.db.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'b' }).execute()
        throw new Rollback(7)
      })
    })
    expect(value).toBe(7)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'rollback'])
  })
})
