import { sql as raw } from 'drizzle-orm'
import { sql } from 'kysely'
import type { PoolClient } from 'pg'
import { SharedConnectionError, TransactionClosedError } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'

const app = useApp({ pool: { max: 1 } })
const INSERT = 'insert into note (text) values ($1)'

type Leak = () => PromiseLike<unknown>

/** Leaks of a transaction that has ended: its handles, and code that still runs in its context. */
const leaks: { readonly [name: string]: () => Promise<Leak> } = {
  'a tx of Drizzle': () =>
    app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      return () => tx.insert(notes).values({ text: 'leaked' })
    }),
  'a nested tx of Drizzle': () =>
    app.orm.transaction((tx) =>
      tx.transaction(async (tx2) => {
        await tx2.insert(notes).values({ text: 'a' })
        return () => tx2.insert(notes).values({ text: 'leaked' })
      }),
    ),
  'a transaction() of a tx of Drizzle': () =>
    app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      return () => tx.transaction((tx2) => tx2.insert(notes).values({ text: 'leaked' }))
    }),
  'a tx for a transaction of Kysely': () =>
    app.db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'a' }).execute()
      const tx = app.shared.drizzleFor(trx)
      return () => tx.insert(notes).values({ text: 'leaked' })
    }),
  'a trx for a transaction of Drizzle': () =>
    app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      const trx = app.shared.kyselyFor<Schema>(tx)
      return () => trx.insertInto('note').values({ text: 'leaked' }).execute()
    }),
  'a client that was taken inside': () =>
    app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      const client = await app.pool.connect()
      return () => client.query(INSERT, ['leaked'])
    }),
  'a statement of Drizzle that nobody awaited': () => leakFromScope(0),
  'a statement of Kysely that nobody awaited': () => leakFromScope(1),
  'a statement of pg that nobody awaited': () => leakFromScope(2),
  'a block of Drizzle that nobody awaited': () => leakFromScope(0, true),
  'a block of Kysely that nobody awaited': () => leakFromScope(1, true),
  'a block of the bridge that nobody awaited': () => leakFromScope(2, true),
}

/** Starts something inside a transaction that goes on after it. */
async function leakFromScope(speaker: number, nested = false): Promise<Leak> {
  const from = speakers[speaker] as Speaker
  const ended = gate()
  let going: Promise<Error> | undefined
  await from.block(app, async () => {
    await from.note(app, 'a')
    going = ended.passed.then(() =>
      failureOf(
        Promise.resolve(
          nested ? from.block(app, () => from.note(app, 'leaked')) : from.note(app, 'leaked'),
        ),
      ),
    )
  })
  return async () => {
    ended.open()
    throw (await going) as Error
  }
}

describe.each(Object.entries(leaks))('%s', (_, leak) => {
  test('is refused while another request uses the same client, and the error says where its transaction began', async () => {
    const late = await leak()
    let error: Error | undefined
    app.transcript.clear()
    await app.shared.outside(() =>
      app.db.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'b' }).execute()
        // the request that leaks is not this one
        error = await app.shared.outside(() => failureOf(late()))
        expect([app.pool.totalCount, app.pool.idleCount]).toEqual([1, 0])
        await trx.insertInto('note').values({ text: 'c' }).execute()
      }),
    )
    expect(error).toBeInstanceOf(TransactionClosedError)
    expect(error?.message).toMatch(/has committed|was released/)
    expect(error?.message).toContain('after-the-end.test.ts')
    expect(app.transcript.lines()).toEqual(['begin', 'insert b', 'insert c', 'commit'])
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })
})

test('a trx of Kysely is refused, by Kysely itself, and not sent', async () => {
  const leaked = await app.db.transaction().execute((trx) => Promise.resolve(trx))
  const nested = await app.db
    .transaction()
    .execute((trx) => trx.transaction().execute((inner) => Promise.resolve(inner)))
  app.transcript.clear()
  for (const trx of [leaked, nested]) {
    const insert = trx.insertInto('note').values({ text: 'leaked' })
    expect((await failureOf(insert.execute())).message).toContain('already committed')
  }
  expect(app.transcript.lines()).toEqual([])
})

test('hooks of a frame that has ended are refused', async () => {
  const tx = await app.orm.transaction((handle) => Promise.resolve(handle))
  const frame = await app.shared.transaction((context) => Promise.resolve(context.frame))
  const refused = await Promise.all([
    failureOf(app.shared.afterCommit(() => {}, { on: tx })),
    failureOf(app.shared.of(tx).afterRollback(() => {})),
    failureOf(frame.beforeCommit(() => {})),
    failureOf(app.shared.within(tx, () => {})),
  ])
  for (const error of refused) expect(error).toBeInstanceOf(TransactionClosedError)
  expect(app.transcript.lines()).toEqual([])
})

const rollback = 'rollback'

/** A ROLLBACK that comes late: it is acknowledged or refused, and never sent. */
const rollbacks: { readonly [name: string]: () => Promise<Leak> } = {
  'a tx of Drizzle': () =>
    app.orm.transaction((tx) => Promise.resolve(() => tx.execute(raw.raw(rollback)))),
  'a trx for a transaction of Drizzle': () =>
    app.orm.transaction((tx) => {
      const trx = app.shared.kyselyFor<Schema>(tx)
      return Promise.resolve(() => sql.raw(rollback).execute(trx))
    }),
  'a client that was taken inside': () =>
    app.orm.transaction(async () => {
      const client = await app.pool.connect()
      return () => client.query(rollback)
    }),
  'code that nobody awaited': async () => {
    const ended = gate()
    let going: Promise<unknown> | undefined
    await app.orm.transaction(async () => {
      going = ended.passed.then(() => app.pool.query(rollback))
      going.catch(() => {})
    })
    return async () => {
      ended.open()
      await going
    }
  },
}

describe.each(Object.entries(rollbacks))('a ROLLBACK after the end by %s', (_, leak) => {
  test('does not take the client from the request that has it now', async () => {
    const late = await leak()
    app.transcript.clear()
    await app.orm.transaction(async (tx) => {
      await Promise.allSettled([late()])
      expect([app.pool.totalCount, app.pool.idleCount]).toEqual([1, 0])
      await tx.insert(notes).values({ text: 'b' })
      expect([app.pool.totalCount, app.pool.idleCount]).toEqual([1, 0])
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert b', 'commit'])
    expect(await app.rows()).toEqual(['b'])
  })
})

describe('a released client', () => {
  let client: PoolClient
  beforeEach(async () => {
    client = await app.pool.connect()
    client.release()
  })
  afterEach(() => expect(app.transcript.lines()).not.toContain('insert leaked'))

  test('is refused while another request has it', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'b' })
      const error = await failureOf(client.query(INSERT, ['leaked']))
      expect(error).toBeInstanceOf(SharedConnectionError)
    })
    expect(await app.rows()).toEqual(['b'])
  })

  test('cannot be released again', () => {
    expect(() => client.release()).toThrow('already been released')
  })
})

test('a client that was released inside a transaction is refused there, too', async () => {
  await app.orm.transaction(async (tx) => {
    const client = await app.pool.connect()
    client.release()
    const error = await failureOf(client.query(INSERT, ['leaked']))
    expect(error.name).toBe('ClientReleasedError')
    await tx.insert(notes).values({ text: 'a' })
  })
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a'])
})
