import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const app = useApp()

test('a controlled transaction commits', async () => {
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  expect(await app.rows()).toEqual([])
  await trx.commit().execute()
  expect(await app.rows()).toEqual(['a'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
})

test('a controlled transaction rolls back', async () => {
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.rollback().execute()
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
})

test('it takes options', async () => {
  const trx = await app.db
    .startTransaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read write')
    .execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.commit().execute()
  expect(await app.rows()).toEqual(['a'])
  expect(app.transcript.lines()).toEqual([
    'begin isolation level repeatable read read write',
    'insert a',
    'commit',
  ])
})

test('it is never ambient, except in within()', async () => {
  const trx = await app.db.startTransaction().execute()
  expect(app.shared.inTransaction).toBe(false)
  expect(trx.inTransaction).toBe(true)
  await app.orm.insert(notes).values({ text: 'on its own' })
  await app.shared.within(trx, async () => {
    expect(app.shared.inTransaction).toBe(true)
    await app.orm.insert(notes).values({ text: 'gone' })
    await app.db.insertInto('note').values({ text: 'gone too' }).execute()
  })
  expect(app.shared.of(trx)).toMatchObject({ depth: 1, layer: 'kysely', state: 'open' })
  await trx.rollback().execute()
  expect(app.shared.of(trx).state).toBe('rolled-back')
  expect(await app.rows()).toEqual(['on its own'])
  expect(app.transcript.lines()).toEqual([
    'insert on its own',
    'begin',
    'insert gone',
    'insert gone too',
    'rollback',
  ])
})

describe('savepoints of a controlled transaction', () => {
  test('are released', async () => {
    const trx = await app.db.startTransaction().execute()
    await trx.insertInto('note').values({ text: 'a' }).execute()
    const one = await trx.savepoint('one').execute()
    await one.insertInto('note').values({ text: 'b' }).execute()
    expect(app.shared.of(one)).toMatchObject({ name: 'one', depth: 2 })
    const free = await one.releaseSavepoint('one').execute()
    await free.insertInto('note').values({ text: 'c' }).execute()
    await free.commit().execute()
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint "one"',
      'insert b',
      'release savepoint "one"',
      'insert c',
      'commit',
    ])
  })

  test('can be rolled back repeatedly', async () => {
    const trx = await app.db.startTransaction().execute()
    const one = await trx.savepoint('one').execute()
    for (const text of ['b', 'c']) {
      await one.insertInto('note').values({ text }).execute()
      await one.rollbackToSavepoint('one').execute()
    }
    await one.insertInto('note').values({ text: 'd' }).execute()
    await trx.commit().execute()
    expect(await app.rows()).toEqual(['d'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint "one"',
      'insert b',
      'rollback to savepoint "one"',
      'insert c',
      'rollback to savepoint "one"',
      'insert d',
      'commit',
    ])
  })

  test('end the savepoints inside them', async () => {
    const trx = await app.db.startTransaction().execute()
    const one = await trx.savepoint('one').execute()
    const two = await one.savepoint('two').execute()
    await two.insertInto('note').values({ text: 'a' }).execute()
    await two.rollbackToSavepoint('one').execute()
    const failure = await failureOf(two.rollbackToSavepoint('two').execute())
    expect(failure).toMatchObject({ code: '3B001' })
    await trx.rollback().execute()
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().at(-1)).toBe('rollback')
  })

  test('released twice is the error that the server returns', async () => {
    const trx = await app.db.startTransaction().execute()
    const one = await trx.savepoint('one').execute()
    await one.insertInto('note').values({ text: 'a' }).execute()
    await one.releaseSavepoint('one').execute()
    expect(await failureOf(one.releaseSavepoint('one').execute())).toMatchObject({ code: '3B001' })
    expect((await failureOf(trx.commit().execute())).name).toBe('TransactionAbortedError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().slice(0, 4)).toEqual([
      'begin',
      'savepoint "one"',
      'insert a',
      'release savepoint "one"',
    ])
  })

  test('save a transaction in which a statement has failed', async () => {
    const trx = await app.db.startTransaction().execute()
    await trx.insertInto('note').values({ text: 'a' }).execute()
    const one = await trx.savepoint('one').execute()
    const failure = await failureOf(one.insertInto('note').values({ text: 'a' }).execute())
    expect(failure).toMatchObject({ code: '23505' })
    await one.rollbackToSavepoint('one').execute()
    await one.insertInto('note').values({ text: 'b' }).execute()
    await one.commit().execute()
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint "one"',
      'insert a',
      'rollback to savepoint "one"',
      'insert b',
      'commit',
    ])
  })

  test('a name that is open already does not hide the first', async () => {
    const trx = await app.db.startTransaction().execute()
    const one = await trx.savepoint('sp1').execute()
    await one.insertInto('note').values({ text: 'a' }).execute()
    await app.shared
      .within(one, () =>
        app.orm.transaction(async (tx) => {
          await tx.insert(notes).values({ text: 'b' })
          throw new Error('boom')
        }),
      )
      .catch(() => {})
    await trx.commit().execute()
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert a',
      'savepoint sp2',
      'insert b',
      'rollback to savepoint sp2',
      'commit',
    ])
  })
})
