import { drizzle } from 'drizzle-orm/node-postgres'
import { Client, type PoolClient, type QueryConfig, type QueryResult } from 'pg'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { type Plain, withShared } from '../setup/with-shared.ts'
import { places, speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 2 } })
const INSERT = 'insert into note (text) values ($1)'

type Answer = (error: Error | null | undefined, result?: QueryResult) => void

/** A promise for the arguments of a callback. */
function answered(call: (answer: Answer) => unknown): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const given = call((error) => {
      if (error) reject(error)
      else resolve(app.shared.inTransaction)
    })
    expect(given).toBeUndefined()
  })
}

describe.each(speakers)('in a transaction of $name', (speaker) => {
  test('pool.query(cb) works in it, and so does its callback', async () => {
    await speaker.block(app, async () => {
      expect(await answered((cb) => app.pool.query(INSERT, ['a'], cb))).toBe(true)
      expect(
        await answered((cb) => app.pool.query(`insert into note (text) values ('b')`, cb)),
      ).toBe(true)
      expect(await app.rows()).toEqual([])
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert', 'commit'])
  })

  test('the error that pool.query(cb) gives to its callback fails the transaction', async () => {
    const failing = speaker.block(app, async () => {
      await answered((cb) => app.pool.query(INSERT, ['a'], cb))
      const failed = answered((cb) => app.pool.query(INSERT, ['a'], cb))
      await expect(failed).rejects.toMatchObject({ code: '23505' })
    })
    await expect(failing).rejects.toMatchObject({ name: 'TransactionAbortedError' })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('pool.connect(cb) gives a client of it, which is given back without ending it', async () => {
    await speaker.block(app, async () => {
      await new Promise<void>((resolve, reject) => {
        app.pool.connect((error, client, done) => {
          if (error || client === undefined) return reject(error)
          client.query(INSERT, ['a'], (failure) => {
            done()
            if (failure) reject(failure)
            else resolve()
          })
        })
      })
      expect(await app.rows()).toEqual([])
      expect(app.shared.inTransaction).toBe(true)
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })
})

describe.each(places)('a callback in the configuration, $name,', (place) => {
  /** Runs `fn` with a client of the pool. */
  const lent = (fn: (client: PoolClient) => Promise<void>): Promise<void> =>
    place.run(app, async () => {
      const client = await app.pool.connect()
      try {
        await fn(client)
      } finally {
        client.release()
      }
    })
  const written = (): string[] => app.transcript.lines().filter((line) => line.startsWith('insert'))

  test('is called with the result, or the error', async () => {
    await lent(async (client) => {
      await answered((callback) => client.query({ text: INSERT, values: ['a'], callback } as never))
    })
    const failing = lent(async (client) => {
      await answered((callback) => client.query({ text: INSERT, values: ['a'], callback } as never))
    })
    await expect(failing).rejects.toMatchObject({ code: '23505' })
    expect(written()).toEqual(['insert a', 'insert a'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('gives way to one that is given beside it', async () => {
    const never = (): void => expect.unreachable()
    await lent(async (client) => {
      const config = { text: INSERT, callback: never }
      await answered((cb) => client.query(config as never, ['a'], cb))
      await answered((cb) => client.query({ ...config, values: ['b'] } as never, cb as never))
    })
    expect(written()).toEqual(['insert a', 'insert b'])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('that is no function is refused before any SQL, as by pg', async () => {
    const callback = 'no function'
    await lent(async (client) => {
      for (const args of [
        [{ text: INSERT, callback }, ['a']],
        [INSERT, ['a'], callback],
      ]) {
        expect(() => client.query(...(args as [string]))).toThrow('callback is not a function')
      }
    })
    expect(written()).toEqual([])
    expect(await app.rows()).toEqual([])
  })

  test('is left alone by pool.query(), as by pg', async () => {
    const never = (): void => expect.unreachable()
    await place.run(app, async () => {
      const config: QueryConfig = Object.assign(
        { text: INSERT, values: ['a'] },
        { callback: never },
      )
      expect(await app.pool.query(config)).toMatchObject({ rowCount: 1 })
    })
    expect(written()).toEqual(['insert a'])
    expect(await app.rows()).toEqual(['a'])
  })
})

test('a callback in the configuration is called by a single client, too', async () => {
  const client = new Client(app.url)
  await client.connect()
  await withShared(drizzle({ client }) as unknown as Plain, async () => {
    await answered((callback) => client.query({ text: INSERT, values: ['a'], callback } as never))
  })
  expect(app.transcript.lines()).toEqual(['insert a'])
  expect(await app.rows()).toEqual(['a'])
})

describe('outside a transaction', () => {
  test('callbacks can run a whole transaction', async () => {
    await new Promise<void>((resolve, reject) => {
      app.pool.connect((error, client, done) => {
        const lent = client as PoolClient
        const then =
          (next: () => void): Answer =>
          (failure) =>
            failure ? reject(failure) : next()
        expect(error).toBeUndefined()
        lent.query(
          'begin',
          then(() =>
            lent.query(
              INSERT,
              ['a'],
              then(() =>
                lent.query(
                  'commit',
                  then(() => {
                    done()
                    resolve()
                  }),
                ),
              ),
            ),
          ),
        )
      })
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('an error that a callback throws reaches nobody else', async () => {
    const boom = new Error('boom')
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    app.pool.query(INSERT, ['a'], () => {
      throw boom
    })
    expect(await uncaught).toBe(boom)
    for (const listener of listeners) process.on('uncaughtException', listener)
    await app.pool.query(INSERT, ['b'])
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['insert a', 'insert b'])
  })

  test('the callback of pool.connect() gets the error if there is no client', async () => {
    const { pool } = app
    const clients = await Promise.all([pool.connect(), pool.connect()])
    const third = new Promise<string>((resolve) => {
      pool.connect((error, client) => {
        client?.release()
        resolve(error ? error.message : 'given')
      })
    })
    for (const client of clients) client.release()
    expect(await third).toBe('given')
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })
})
