import { Client, Pool, type PoolClient } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const INSERT = 'insert into note (text) values ($1)'

/** A custom client class, with methods that send. */
class NotingClient extends Client {
  asked = 0
  told: Promise<unknown> | undefined
  readonly #secret = 'secret'

  async note(text: string): Promise<void> {
    await this.query(INSERT, [text])
    this.asked++
  }

  async noteBySuper(text: string): Promise<void> {
    await super.query(INSERT, [text])
  }

  get noted(): (text: string) => Promise<unknown> {
    return (text) => this.query(INSERT, [text])
  }

  async noteTwice(text: string): Promise<void> {
    await this.query('savepoint twice')
    await this.note(text)
    await this.query('rollback to twice')
    await this.note(text)
  }

  async noteSecretly(): Promise<void> {
    await this.query(INSERT, [this.#secret])
  }

  override on(event: string, listener: (...args: never[]) => void): this {
    if (event === 'noted') this.told = this.query(INSERT, ['by on'])
    return super.on(event as 'end', listener)
  }
}

/** Adds a method to the client itself. */
function equip(client: object): void {
  Object.assign(client, {
    async noteOfItself(this: PoolClient, text: string) {
      await this.query(INSERT, [text])
    },
  })
}

/** A method that is added to the class of pg, for all clients. */
async function noteOfPg(this: PoolClient, text: string): Promise<void> {
  await this.query(INSERT, [text])
}

type Noting = PoolClient & NotingClient & Record<'noteOfItself' | 'noteOfPg', typeof noteOfPg>

const app = useApp({ pool: { max: 1, Client: NotingClient } })
let stock: Pool
beforeAll(() => {
  stock = new Pool({ connectionString: app.url, max: 1, Client: NotingClient })
  for (const pool of [app.pool, stock]) pool.on('connect', equip)
  Object.assign(Client.prototype, { noteOfPg })
})
afterAll(async () => {
  Reflect.deleteProperty(Client.prototype, 'noteOfPg')
  await stock.end()
})

/** Runs `fn` with a client of the user's class. */
async function lent<T>(pool: Pool, fn: (client: Noting) => Promise<T>): Promise<T> {
  const client = (await pool.connect()) as Noting
  try {
    return await fn(client)
  } finally {
    client.release()
  }
}

const ways: readonly { name: string; note: (client: Noting, text: string) => Promise<unknown> }[] =
  [
    { name: 'a method', note: (client, text) => client.note(text) },
    { name: 'an accessor', note: (client, text) => client.noted(text) },
    { name: 'a method added to that of pg', note: (client, text) => client.noteOfPg(text) },
    { name: 'a method of the client alone', note: (client, text) => client.noteOfItself(text) },
  ]

describe.each(ways)('a statement that $name of a custom client class sends', ({ note }) => {
  test('is in the transaction that was begun manually', async () => {
    const run = (pool: Pool): Promise<void> =>
      lent(pool, async (client) => {
        await client.query('begin')
        await note(client, 'a')
        await client.query('rollback')
        await client.query('begin')
        await client.query(INSERT, ['b'])
        await note(client, 'c')
        expect(await app.rows()).toEqual([])
        await client.query('commit')
        await note(client, 'd')
      })
    await run(stock)
    expect(await app.rows()).toEqual(['b', 'c', 'd'])
    await app.observer.query('delete from note')
    await run(app.pool)
    expect(await app.rows()).toEqual(['b', 'c', 'd'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'rollback',
      'begin',
      'insert b',
      'insert c',
      'commit',
      'insert d',
    ])
  })

  test.each(speakers)('is in a transaction of $name around', async (speaker) => {
    const boom = new Error('boom')
    await expect(
      speaker.block(app, async () => {
        await lent(app.pool, (client) => note(client, 'a'))
        throw boom
      }),
    ).rejects.toBe(boom)
    await speaker.block(app, async () => {
      await lent(app.pool, (client) => note(client, 'b'))
      expect(await app.rows()).toEqual([])
    })
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

  test('is refused when the client was given back', async () => {
    const client = await lent(app.pool, (lentClient) => Promise.resolve(lentClient))
    const failure = await failureOf(note(client, 'a'))
    expect(failure.name).toBe('ClientReleasedError')
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })

  test('fails with the error of the server, and aborts the transaction', async () => {
    await lent(app.pool, async (client) => {
      await client.query('begin')
      await client.query(INSERT, ['a'])
      expect(await failureOf(note(client, 'a'))).toMatchObject({ code: '23505' })
      expect(client.getTransactionStatus()).toBe('E')
      await client.query('rollback')
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })
})

test('a method of pg that the class overrides is called on the client that was lent, too', async () => {
  await lent(app.pool, async (client) => {
    await client.query('begin')
    client.on('noted', () => {})
    await client.told
    client.removeAllListeners('noted')
    expect(await app.rows()).toEqual([])
    await client.query('rollback')
  })
  expect(app.transcript.lines()).toEqual(['begin', 'insert by on', 'rollback'])
  expect(await app.rows()).toEqual([])
})

test('control commands that a method sends move the stack', async () => {
  await lent(app.pool, async (client) => {
    await client.query('begin')
    await client.noteTwice('a')
    await client.query('commit')
  })
  expect(app.transcript.lines()).toEqual([
    'begin',
    'savepoint "twice"',
    'insert a',
    'rollback to savepoint "twice"',
    'insert a',
    'commit',
  ])
  expect(await app.rows()).toEqual(['a'])
})

test('a method that calls super.query() is refused, since its statement would run outside the transaction', async () => {
  await lent(app.pool, async (client) => {
    await client.query('begin')
    expect(await failureOf(client.noteBySuper('a'))).toMatchObject({
      name: 'InvalidArgumentError',
      message: expect.stringContaining('Call this.query() instead') as string,
    })
    await client.note('b')
    await client.query('commit')
  })
  expect(app.transcript.lines()).toEqual(['begin', 'insert b', 'commit'])
  // where it has the physical client it works
  await app.shared.withClient((client) => (client as unknown as Noting).noteBySuper('c'))
  expect(await app.rows()).toEqual(['b', 'c'])
})

test('a method that needs a private field fails before it sends, and the transaction goes on', async () => {
  await lent(app.pool, async (client) => {
    await client.query('begin')
    await client.note('a')
    expect(await failureOf(client.noteSecretly())).toBeInstanceOf(TypeError)
    await client.query('commit')
  })
  // it works on the physical client
  await app.shared.withClient((client) => (client as unknown as Noting).noteSecretly())
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a', 'secret'])
})

test('a property that a method sets on its client stays there, and the other members work', async () => {
  const asked = (pool: Pool): Promise<unknown[]> =>
    lent(pool, async (client) => {
      const before = client.asked
      await client.note(pool === stock ? 'a' : 'b')
      const notices: unknown[] = []
      const listener = (notice: { message?: string }): void => void notices.push(notice.message)
      expect(client.on('notice', listener as never)).toBe(client)
      await client.query(`do $$ begin raise notice 'heard'; end $$`)
      client.off('notice', listener as never)
      await client.query(`do $$ begin raise notice 'not heard'; end $$`)
      return [client.asked - before, notices]
    })
  expect(await asked(app.pool)).toEqual(await asked(stock))
  expect(app.transcript.lines()).toEqual(['insert b', 'do', 'do'])
  expect(await app.rows()).toEqual(['b', 'a'])
})
