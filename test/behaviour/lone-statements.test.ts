import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout } from 'node:timers/promises'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { interruptSleep, LOCK, locked, sleeping, whileLocked } from '../setup/sessions.ts'
import { notes } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { useRecordedApp } from '../setup/recorded-app.ts'

// Without subscribers, a statement outside transactions takes a short path to its client. It must be the
// same statement as with subscribers, and as without the bridge.

const store = new AsyncLocalStorage<string>()

describe.each([
  { name: 'no subscribers', unheard: true },
  { name: 'a subscriber', unheard: false },
])('with $name', ({ unheard }) => {
  const { app, sent, trips, clear } = useRecordedApp({ unheard })
  let stock: Pool
  /** The number of clients that the pool has connected. */
  let clients = 0
  beforeAll(async () => {
    stock = new Pool({ connectionString: app.url, max: 1 })
    app.pool.on('connect', () => clients++)
    await app.pool.query('select 1')
  })
  afterAll(() => stock.end())

  test('it takes one round trip, and nothing else is sent', async () => {
    await app.pool.query('select 1')
    clear()
    await app.pool.query('insert into note (text) values ($1)', ['a'])
    await app.orm.insert(notes).values({ text: 'b' })
    await app.db.insertInto('note').values({ text: 'c' }).execute()
    expect({ trips: trips(), sent: sent() }).toEqual({
      trips: 3,
      sent: ['insert', 'insert', 'insert'],
    })
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test.each([
    { name: 'a text', args: ['select 1 as one, null as nothing'] },
    { name: 'values', args: ['select $1::int as one', [7]] },
    { name: 'an object', args: [{ text: 'select $1::int as one', values: [8] }] },
    { name: 'an object and values', args: [{ text: 'select $1::int as one' }, [9]] },
    { name: 'rows as arrays', args: [{ text: 'select 1, 2', rowMode: 'array' }] },
    { name: 'several commands', args: ['select 1 as one; select 2 as two;'] },
    { name: 'an empty text', args: [''] },
    {
      name: 'type parsers of its own',
      args: [{ text: 'select 1 as one', types: { getTypeParser: () => () => 'parsed' } }],
    },
    { name: 'the extended protocol', args: [{ text: 'select 3 as one', queryMode: 'extended' }] },
  ])('$name is answered as without the bridge', async ({ args }) => {
    const [mine, theirs] = await Promise.all([app.pool, stock].map((pool) => ask(pool, args)))
    expect(mine).toEqual(theirs)
  })

  test.each([
    { name: 'the server refuses', args: ['select 1 / 0'] },
    { name: 'with a syntax error', args: ['selec 1'] },
    { name: 'cannot be serialised', args: ['select $1::text', [circle()]] },
    { name: 'a type parser cannot read', args: [{ text: 'select 1', types: broken() }] },
  ])('what $name fails as without the bridge, and keeps its client', async ({ args }) => {
    const before = clients
    async function deepInUserCode(): Promise<unknown> {
      const answer = await ask(app.pool, args)
      return answer
    }
    const [mine, theirs] = [await failureOf(deepInUserCode()), await failureOf(ask(stock, args))]
    const { code, severity } = theirs as Error & { code?: string; severity?: string }
    expect(mine).toMatchObject({ message: theirs.message, name: theirs.name })
    expect(mine).toMatchObject(code === undefined ? {} : { code, severity })
    expect(mine.stack).toContain('deepInUserCode')
    // The client is released before the call resolves.
    expect(app.pool).toMatchObject({ idleCount: 1, waitingCount: 0 })
    await app.pool.query('select 1')
    expect(clients).toBe(before)
  })

  test('a callback is called as pg calls it', async () => {
    const told = await new Promise((resolve) => {
      app.pool.query('select $1::int as one', [1], (error, result) => resolve([error, result.rows]))
    })
    expect(told).toEqual([null, [{ one: 1 }]])
  })

  test('values are serialised in the context of their sender', async () => {
    const seen: unknown[] = []
    const value = { toPostgres: () => String(seen.push(store.getStore())) }
    const sendIn = (request: string) =>
      store.run(request, () => app.pool.query('select $1::text', [value]))
    await Promise.all(['a', 'b', 'c'].map(sendIn))
    await sendIn('d')
    expect(seen).toEqual(['a', 'b', 'c', 'd'])
  })

  test('a statement that ends its session closes the client, and the next one gets another', async () => {
    const slow = failureOf(app.pool.query('select pg_sleep(10)'))
    await sleeping(app)
    await interruptSleep(app, 'pg_terminate_backend')
    expect(await slow).toMatchObject({ code: '57P01' })
    expect((await app.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('a statement that pg abandons closes the client, since it still runs', async () => {
    const before = clients
    const given = { text: 'select pg_sleep(0.3)', query_timeout: 20 } as { text: string }
    expect(await failureOf(app.pool.query(given))).toMatchObject({ message: 'Query read timeout' })
    await app.pool.query('select 1')
    expect(clients).toBe(before + 1)
    await setTimeout(350)
  })

  test('DEALLOCATE makes names unknown', async () => {
    const named = { name: 'one', text: 'select 1 as one' }
    await app.pool.query(named)
    await app.pool.query('deallocate all')
    expect((await app.pool.query(named)).rows).toEqual([{ one: 1 }])
  })

  test('a transaction that several commands leave open is an error, and is rolled back', async () => {
    const error = await failureOf(app.pool.query("begin; insert into note (text) values ('a')"))
    expect(error.name).toBe('TransactionDriftError')
    await failureOf(app.pool.query('begin; select 1 / 0'))
    expect((await app.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await app.rows()).toEqual([])
  })

  test('the bridge cannot be disposed of while it runs', async () => {
    await whileLocked(app, async (letGo) => {
      const waiting = app.pool.query(LOCK)
      await locked(app)
      expect(() => app.shared.dispose()).toThrow(/^1 connection is in use/)
      await letGo()
      await waiting
    })
  })
})

function ask(pool: Pool, args: readonly unknown[]): Promise<unknown> {
  const [config, values] = args as [string, unknown[]]
  return pool.query(config, values).then((result) => {
    const results = [result].flat()
    return results.map(({ command, rowCount, rows, fields }) => ({
      command,
      rowCount,
      rows,
      fields: fields.map(({ name }) => name),
    }))
  })
}

function circle(): object {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}

function broken(): object {
  return {
    getTypeParser: () => () => {
      throw new TypeError('unreadable')
    },
  }
}
