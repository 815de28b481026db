import { sql as raw } from 'drizzle-orm'
import { sql } from 'kysely'
import { ControlStatementError, TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { breathe, gate } from '../setup/gate.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp()

/** The ways to send a text manually inside a block. */
const ways: { readonly [name: string]: (text: string) => Promise<unknown> } = {
  'the pool': (text) => app.pool.query(text),
  Drizzle: (text) => Promise.resolve(app.orm.execute(raw.raw(text))),
  Kysely: (text) => sql.raw(text).execute(app.db),
  'a client of the pool': async (text) => {
    const client = await app.pool.connect()
    try {
      return await client.query(text)
    } finally {
      client.release()
    }
  },
}

const refused = [
  'commit',
  'END',
  '/* really */ commit work;',
  'commit and chain',
  'rollback and chain',
  `prepare transaction 'p'`,
  'select 1; commit',
]

describe.each(Object.entries(ways))('by %s', (_, send) => {
  describe.each(worlds)('in $name', ({ outer, inner }) => {
    test.each(refused)('%j is refused before it is sent', async (text) => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          expect(await failureOf(send(text))).toBeInstanceOf(ControlStatementError)
          await inner.note(app, 'c')
        })
        expect(await failureOf(send(text))).toBeInstanceOf(ControlStatementError)
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'insert c',
        'commit',
      ])
    })

    test('a ROLLBACK ends the whole transaction, and its blocks reject', async () => {
      const late: Error[] = []
      const failing = outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner
          .block(app, async () => {
            await inner.note(app, 'b')
            await send('rollback')
            late.push(await failureOf(Promise.resolve(inner.note(app, 'c'))))
          })
          .catch((error: Error) => late.push(error))
        late.push(await failureOf(Promise.resolve(outer.note(app, 'd'))))
      })
      await expect(failing).rejects.toBeInstanceOf(TransactionAbortedError)
      expect(late.map(({ name }) => name)).toEqual([
        'TransactionClosedError',
        'TransactionAbortedError',
        'TransactionClosedError',
      ])
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'rollback',
      ])
    })
  })

  test.each(speakers)(
    'a ROLLBACK in an empty transaction of $name sends nothing',
    async (speaker) => {
      await expect(speaker.block(app, () => send('rollback'))).rejects.toBeInstanceOf(
        TransactionAbortedError,
      )
      expect(app.transcript.lines()).toEqual([])
      expect(await app.rows()).toEqual([])
    },
  )
})

test('BEGIN on the pool belongs to nobody and is refused', async () => {
  for (const text of ['begin', 'start transaction read only']) {
    expect(await failureOf(app.pool.query(text))).toBeInstanceOf(ControlStatementError)
  }
  expect(app.transcript.lines()).toEqual([])
  expect(await app.rows()).toEqual([])
})

describe('on a client of its own', () => {
  const insert = (text: string): string => `insert into note (text) values ('${text}')`

  test('a second savepoint of one name hides the first, as it does in PostgreSQL', async () => {
    const client = await app.pool.connect()
    await client.query('begin')
    await client.query('savepoint a')
    await client.query(insert('x'))
    await client.query('savepoint a')
    await client.query(insert('y'))
    await client.query('rollback to savepoint a')
    await client.query('release savepoint a')
    await client.query(insert('z'))
    await client.query('rollback to savepoint a')
    await client.query(insert('w'))
    await client.query('commit')
    client.release()
    expect(await app.rows()).toEqual(['w'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('a rollback to the inner of two savepoints of one name keeps the work before it', async () => {
    const client = await app.pool.connect()
    for (const text of [
      'begin',
      'savepoint a',
      insert('x'),
      'savepoint a',
      insert('y'),
      'rollback to savepoint a',
      'commit',
    ]) {
      await client.query(text)
    }
    client.release()
    expect(await app.rows()).toEqual(['x'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('statements that are not awaited are sent in their order, around COMMIT, too', async () => {
    expect(await sendAll(['begin', insert('a'), 'commit', insert('b')])).toEqual([
      'BEGIN',
      'INSERT',
      'COMMIT',
      'INSERT',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert', 'commit', 'insert'])
  })

  test('a BEGIN that does not await the COMMIT before it is sent behind it', async () => {
    const texts = ['begin', insert('a'), 'commit', 'begin', insert('b'), 'rollback']
    expect(await sendAll(texts)).toEqual([
      'BEGIN',
      'INSERT',
      'COMMIT',
      'BEGIN',
      'INSERT',
      'ROLLBACK',
    ])
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert',
      'commit',
      'begin',
      'insert',
      'rollback',
    ])
  })

  test('a client that is released behind a COMMIT that nobody awaited has committed', async () => {
    const client = await app.pool.connect()
    await client.query('begin')
    await client.query(insert('a'))
    const committed = client.query('commit')
    client.release()
    expect((await committed).command).toBe('COMMIT')
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert', 'commit'])
  })

  test('a client that is released with an open transaction is closed, and the work is rolled back', async () => {
    const client = await app.pool.connect()
    await client.query('begin')
    await client.query(insert('a'))
    client.release()
    await breathe()
    await app.orm.insert(notes).values({ text: 'b' })
    expect(await app.rows()).toEqual(['b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert', 'insert b'])
  })
})

/** Sends texts on one client without awaiting any, as pg allows, and gives back the tags. */
async function sendAll(texts: readonly string[]): Promise<string[]> {
  const client = await app.pool.connect()
  try {
    const answers = await Promise.allSettled(texts.map((text) => client.query(text)))
    return answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value.command : (answer.reason as Error).message,
    )
  } finally {
    client.release()
  }
}

test('a manual ROLLBACK while COMMIT is in flight neither rolls back nor releases the client', async () => {
  const slow = gate()
  await app.observer.query(`
    create function nap() returns trigger language plpgsql as $$
      begin perform pg_sleep(0.1); return null; end $$;
    create constraint trigger nap after insert on note deferrable initially deferred
      for each row execute function nap()`)
  let late: Promise<unknown> | undefined
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    late = slow.passed.then(() => failureOf(app.pool.query('rollback')))
    // COMMIT leaves when this block has returned
    setTimeout(() => slow.open(), 30)
  })
  await app.observer.query('drop trigger nap on note; drop function nap')
  await late
  expect(await app.rows()).toEqual(['a'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
})

test('AND CHAIN in a controlled transaction is refused', async () => {
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  const failure = await failureOf(sql`commit and chain`.execute(trx))
  expect(failure.name).toBe('ControlStatementError')
  await trx.insertInto('note').values({ text: 'b' }).execute()
  await trx.commit().execute()
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  expect(await app.rows()).toEqual(['a', 'b'])
})
