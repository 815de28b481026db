import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()

describe('past savepoints of the other layer', () => {
  test('a Drizzle block inside a controlled savepoint is rolled back with it', async () => {
    const trx = await app.db.startTransaction().execute()
    const one = await trx.savepoint('one').execute()
    await app.shared.within(one, () =>
      app.orm.transaction((tx) => tx.insert(notes).values({ text: 'a' })),
    )
    await one.rollbackToSavepoint('one').execute()
    await app.shared.within(one, () =>
      app.orm.transaction((tx) => tx.insert(notes).values({ text: 'b' })),
    )
    await trx.commit().execute()
    expect(await app.rows()).toEqual(['b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint "one"',
      'savepoint sp2',
      'insert a',
      'rollback to savepoint "one"',
      'savepoint sp2',
      'insert b',
      'commit',
    ])
  })

  test('a savepoint cannot be released while a block is open inside it', async () => {
    const trx = await app.db.startTransaction().execute()
    const one = await trx.savepoint('one').execute()
    await app.shared.within(one, () =>
      app.orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        const release = app.pool.query('release savepoint one')
        expect((await failureOf(release)).name).toBe('ControlStatementError')
      }),
    )
    await trx.commit().execute()
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint "one"',
      'savepoint sp2',
      'insert a',
      'commit',
    ])
  })
})

describe.each(speakers)('a controlled transaction inside a block of $name', (outer) => {
  test('is a savepoint that is released', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const trx = await app.db.startTransaction().execute()
      await trx.insertInto('note').values({ text: 'b' }).execute()
      await trx.commit().execute()
      await outer.note(app, 'c')
    })
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
  })

  test('is a savepoint that is rolled back', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const trx = await app.db.startTransaction().execute()
      await trx.insertInto('note').values({ text: 'b' }).execute()
      // Statements of the block run in a manual savepoint that is open in it.
      await outer.note(app, 'b too')
      await trx.rollback().execute()
      await outer.note(app, 'c')
    })
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'insert b too',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
  })

  test('that is left open ends with the block', async () => {
    await outer.block(app, async () => {
      const trx = await app.db.startTransaction().execute()
      await trx.insertInto('note').values({ text: 'a' }).execute()
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'commit'])
  })
})
