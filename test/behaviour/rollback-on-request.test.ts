import { TransactionRollbackError } from 'drizzle-orm'
import { Rollback } from 'shared-connection'
import { expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { drizzleSpeaker, kyselySpeaker, speakers } from '../setup/worlds.ts'

const app = useApp()

test('new Rollback(value) resolves with the value', async () => {
  const value = await app.shared.transaction(async ({ tx }): Promise<number> => {
    await tx.insert(notes).values({ text: 'a' })
    throw new Rollback(42)
  })
  expect(value).toBe(42)
  expect(
    await app.shared.transaction(() => {
      throw new Rollback()
    }),
  ).toBeUndefined()
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
})

test('in a savepoint it rolls back only the savepoint', async () => {
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await app.shared.transaction(async () => {
      await kyselySpeaker.note(app, 'b')
      throw new Rollback()
    })
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

test.each([drizzleSpeaker, kyselySpeaker])(
  'in a block of $name without a block of the bridge around it reaches the caller',
  async (speaker) => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      throw new Rollback(1)
    })
    await expect(failing).rejects.toBeInstanceOf(Rollback)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  },
)

test("tx.rollback() rejects with Drizzle's error, through every block around", async () => {
  const failing = app.db.transaction().execute(() =>
    app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      tx.rollback()
    }),
  )
  await expect(failing).rejects.toBeInstanceOf(TransactionRollbackError)
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'savepoint sp1',
    'insert a',
    'rollback to savepoint sp1',
    'rollback',
  ])
})

test('rollbackOnExit() resolves with the value', async () => {
  const value = await app.shared.transaction(async ({ tx, frame }) => {
    await tx.insert(notes).values({ text: 'a' })
    frame.rollbackOnExit()
    return tx.select().from(notes)
  })
  expect(value).toEqual([{ id: 1, text: 'a' }])
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
})

test.each(speakers)('rollbackOnExit() on a frame that $name holds', async (speaker) => {
  const seen = await speaker.block(app, async () => {
    await speaker.note(app, 'a')
    // A joined block is in the frame of the transaction.
    await app.shared.transaction(({ frame }) => frame.rollbackOnExit(), {
      propagation: 'required',
    })
    await speaker.note(app, 'b')
    return 'kept'
  })
  expect(seen).toBe('kept')
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'rollback'])
})

test('rollbackOnExit() of a savepoint does not affect the rest', async () => {
  await app.db.transaction().execute(async (trx) => {
    await trx.insertInto('note').values({ text: 'a' }).execute()
    const inner = await app.shared.transaction(async (context) => {
      await context.tx.insert(notes).values({ text: 'b' })
      context.frame.rollbackOnExit()
      return 'tried'
    })
    expect(inner).toBe('tried')
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

test('rollbackOnExit() of the frame of an outer handle', async () => {
  const value = await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await tx.transaction(async (tx2) => {
      app.shared.of(tx).rollbackOnExit()
      await tx2.insert(notes).values({ text: 'b' })
    })
    return 'kept'
  })
  expect(value).toBe('kept')
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'savepoint sp1',
    'insert b',
    'rollback',
  ])
})

test('rollbackOnExit() with an error rejects with the error', async () => {
  const boom = new Error('boom')
  const failing = app.shared.transaction(async ({ tx, frame }) => {
    await tx.insert(notes).values({ text: 'a' })
    frame.rollbackOnExit()
    throw boom
  })
  await expect(failing).rejects.toBe(boom)
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
})

test('an error in beforeCommit() rolls back, and the connection can be used again', async () => {
  const boom = new Error('boom')
  const failing = app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await app.db.beforeCommit(() => {
      throw boom
    })
  })
  await expect(failing).rejects.toBe(boom)
  await app.orm.transaction((tx) => tx.insert(notes).values({ text: 'b' }))
  expect(await app.rows()).toEqual(['b'])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'rollback',
    'begin',
    'insert b',
    'commit',
  ])
})
