import { type ControlStatementError, isSharedConnectionError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()
const INSERT = 'insert into note (text) values ($1)'

describe.each(speakers)('withClient() in a transaction of $name', (speaker) => {
  test('deferred commands are sent before the callback gets the client', async () => {
    await speaker.block(app, async () => {
      await app.shared.withClient(async (client) => {
        const { rows } = await client.query(`select now() = statement_timestamp() as autocommit`)
        expect(rows).toEqual([{ autocommit: false }])
        await client.query(INSERT, ['by the client'])
      })
      await speaker.note(app, 'a')
      expect(await app.rows()).toEqual([])
    })
    expect(await app.rows()).toEqual(['by the client', 'a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('it works in the savepoint around it', async () => {
    await speaker.block(app, async () => {
      const failing = speaker.block(app, async () => {
        await app.shared.withClient((client) => client.query(INSERT, ['gone']))
        throw new Error('boom')
      })
      await expect(failing).rejects.toThrow('boom')
      await speaker.note(app, 'a')
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert a',
      'commit',
    ])
  })
})

test.each([undefined, null, 0, 'boom', new Error('boom')])(
  'it rejects with the value that the callback throws: %s',
  async (reason) => {
    const fn = (): never => {
      throw reason
    }
    const outside = app.shared.withClient(fn).then(
      () => 'resolved',
      (error: unknown) => ({ error }),
    )
    expect(await outside).toEqual({ error: reason })
    await app.orm.transaction(async () => {
      const inside = app.shared.withClient(fn).then(
        () => 'resolved',
        (error: unknown) => ({ error }),
      )
      expect(await inside).toEqual({ error: reason })
    })
    expect(app.pool.idleCount).toBe(app.pool.totalCount)
  },
)

test('statements of others wait until the client is free', async () => {
  const order: string[] = []
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    let start = (): void => {}
    const started = new Promise<void>((resolve) => (start = resolve))
    const held = app.shared.withClient(async (client) => {
      start()
      await client.query(INSERT, ['b'])
      await new Promise((resolve) => setTimeout(resolve, 20))
      order.push('client')
    })
    await started
    await app.db.insertInto('note').values({ text: 'c' }).execute()
    order.push('statement')
    await held
  })
  expect(order).toEqual(['client', 'statement'])
  expect(await app.rows()).toEqual(['a', 'b', 'c'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert c', 'commit'])
})

test('withClient() inside withClient() passes the same client', async () => {
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    const same = await app.shared.withClient((client) =>
      app.shared.withClient((inner) => inner === client),
    )
    expect(same).toBe(true)
  })
  expect(await app.rows()).toEqual(['a'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
})

test('a statement inside withClient() is refused, since it would wait for ever', async () => {
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await app.shared.withClient(async () => {
      const error = await app.db
        .insertInto('note')
        .values({ text: 'b' })
        .execute()
        .catch((reason: unknown) => reason)
      expect(isSharedConnectionError(error) && error.name).toBe('ControlStatementError')
      expect((error as ControlStatementError).message).toContain('Use the client')
    })
  })
  expect(await app.rows()).toEqual(['a'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
})

test('a transaction that withClient() has ended is a TransactionDriftError', async () => {
  const failing = app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await app.shared.withClient((client) => client.query('rollback'))
    await tx.insert(notes).values({ text: 'b' })
  })
  await expect(failing).rejects.toMatchObject({ name: 'TransactionDriftError' })
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a'])
})

test('a transaction that withClient() has left open is an error, and is rolled back', async () => {
  const failing = app.shared.withClient(async (client) => {
    await client.query('begin')
    await client.query(INSERT, ['a'])
  })
  await expect(failing).rejects.toMatchObject({ name: 'TransactionDriftError' })
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual([])
})
