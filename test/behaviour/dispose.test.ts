import { drizzle } from 'drizzle-orm/node-postgres'
import { type DrizzleLike, shareConnection } from 'shared-connection'
import { expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Plain, withShared } from '../setup/with-shared.ts'

const app = useApp()

test('gives the pool and the session back as they were', async () => {
  const orm: Plain & DrizzleLike = drizzle(app.url)
  const keysOf = () => [Object.keys(orm.$client), Object.keys(Reflect.get(orm._, 'session'))]
  const before = keysOf()
  await withShared(orm, async (shared) => {
    await orm.insert(notes).values({ text: 'a' })
    shared.dispose()
    expect(keysOf()).toEqual(before)
    await orm.transaction((tx) => tx.insert(notes).values({ text: 'b' }))
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['insert a'])
  })
})

test('is refused while a transaction is open', async () => {
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    expect(() => app.shared.dispose()).toThrow(expect.objectContaining({ name: 'DisposeError' }))
    await app.db.insertInto('note').values({ text: 'b' }).execute()
  })
  expect(await app.rows()).toEqual(['a', 'b'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
})

test('a database on a pool that was let go says so', async () => {
  const orm = drizzle(app.url)
  await withShared(orm, async (shared) => {
    const db = shared.kysely<Schema>()
    shared.dispose()
    const failures = [
      await failureOf(db.insertInto('note').values({ text: 'a' }).execute()),
      await failureOf(shared.transaction(() => {})),
    ]
    expect(failures.map(({ name }) => name)).toEqual(['DisposeError', 'DisposeError'])
  })
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual([])
})

test('the same Drizzle database can be shared again', async () => {
  const orm = drizzle(app.url)
  shareConnection(orm, { name: 'first' }).dispose()
  await withShared(orm, async (shared) => {
    await shared.transaction(({ tx }) => tx.insert(notes).values({ text: 'a' }))
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })
})
