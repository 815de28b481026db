import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Client, type ClientConfig, Pool, type PoolClient, type PoolConfig, Query } from 'pg'
import { CHANNELS, type SharedConnection, shareConnection } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

// Statements outside transactions, on clients and pools that have been changed or have failed.

const app = useApp({ unheard: true })
let shared: SharedConnection[] = []

function share(client: Pool | Client): SharedConnection {
  const one = shareConnection(drizzle({ client })) as unknown as SharedConnection
  shared.push(one)
  return one
}

let astray: unknown[] = []
const onAstray = (error: unknown): void => {
  astray.push(error)
}
beforeEach(() => {
  astray = []
  for (const event of ['unhandledRejection', 'uncaughtException', 'warning']) {
    process.on(event, onAstray)
  }
})
afterEach(async () => {
  await setTimeout(5)
  for (const one of shared) one.dispose()
  shared = []
  for (const event of ['unhandledRejection', 'uncaughtException', 'warning']) {
    process.off(event, onAstray)
  }
  expect(astray).toEqual([])
})

async function withPool(
  config: PoolConfig,
  fn: (pool: Pool) => Promise<void>,
  prepare: (pool: Pool) => void = () => {},
): Promise<void> {
  const pool = new Pool({ connectionString: app.url, max: 1, ...config })
  prepare(pool)
  share(pool)
  try {
    await fn(pool)
  } finally {
    await pool.end()
  }
}

async function withOneClient(fn: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: app.url })
  await client.connect()
  share(client)
  try {
    await fn(client)
  } finally {
    await client.end()
  }
}

const ONE = { rows: [{ one: 1 }] }
const pidOf = async (pool: Pool): Promise<number> =>
  (await pool.query('select pg_backend_pid() as pid')).rows[0].pid

type Wide = (...args: unknown[]) => unknown

describe.each([
  { name: 'nobody listening', heard: false },
  { name: 'somebody listening', heard: true },
])('with $name', ({ heard }) => {
  const listener = (): void => {}
  beforeEach(() => {
    if (heard) subscribe(CHANNELS.acquire, listener)
  })
  afterEach(() => {
    unsubscribe(CHANNELS.acquire, listener)
  })

  test.each([{}, { pipeline: true }, { query_timeout: 1000 }])(
    'a value that cannot be serialised fails once, even if the server refuses the statement, too (%o)',
    async (config) => {
      await withPool(config, async (pool) => {
        const value: Record<string, unknown> = {}
        value['self'] = value
        const error = await failureOf(pool.query('select $1::text from missing_table', [value]))
        expect(error.message).toContain('circular')
        expect(await pool.query('select 1 as one')).toMatchObject(ONE)
      })
    },
  )

  test('a wrapped query() that calls back and returns a promise, too, settles once', async () => {
    await withPool({}, async (pool) => {
      pool.on('connect', (client: PoolClient) => {
        const query: Wide = client.query.bind(client)
        const wrapped = (config: Query & { callback: Wide }, ...rest: unknown[]): unknown => {
          if (typeof config.submit !== 'function') return query(config, ...rest)
          return new Promise((resolve, reject) => {
            const { callback } = config
            config.callback = (error, result) => {
              callback(error, result)
              if (error) reject(error)
              else resolve(result)
            }
            query(config)
          })
        }
        Object.assign(client, { query: wrapped })
      })
      expect(await failureOf(pool.query('select 1 / 0'))).toMatchObject({ code: '22012' })
      expect(await pool.query('select 1 as one')).toMatchObject(ONE)
    })
  })

  test('a Query class whose constructor throws rejects, and the client stays in use', async () => {
    class Picky extends Query {
      constructor(config: string) {
        super(config)
        if (config === 'select 2') throw new TypeError('picky')
      }
    }
    class PickyClient extends Client {
      static readonly Query = Picky
    }
    await withPool({ Client: PickyClient }, async (pool) => {
      expect(await failureOf(pool.query('select 2'))).toMatchObject({ message: 'picky' })
      expect(await pool.query('select 1 as one')).toMatchObject(ONE)
    })
  })

  test("an error of the pool's release listener rejects the statement", async () => {
    const pool = new Pool({ connectionString: app.url, max: 1 })
    share(pool)
    const clients: PoolClient[] = []
    pool.on('connect', (client) => void clients.push(client))
    pool.on('release', () => {
      throw new Error('of the listener')
    })
    expect(await failureOf(pool.query('select 1'))).toMatchObject({ message: 'of the listener' })
    // as without the bridge, this pool never gets the client back
    await (clients[0] as unknown as Client).end()
  })

  test('a statement of a connect listener is sent first, without a warning', async () => {
    class Setting extends Client {
      constructor(config: ClientConfig) {
        super(config)
        this.once('connect', () => void this.query("set application_name = 'mine'"))
      }
    }
    await withPool({ Client: Setting as never }, async (pool) => {
      const { rows } = await pool.query('show application_name')
      expect(rows).toEqual([{ application_name: 'mine' }])
    })
    await withPool({}, async (pool) => {
      pool.on('connect', (client) => void client.query("set application_name = 'mine'"))
      await pool.query('select 1')
    })
  })

  test('a client stays in use after errors of a type parser and then of the server', async () => {
    await withPool({ query_timeout: 1000 }, async (pool) => {
      const pid = await pidOf(pool)
      const types = {
        getTypeParser: () => () => {
          throw new TypeError('unreadable')
        },
      }
      await failureOf(
        pool.query({ text: 'select 1 / (3 - n) from generate_series(1, 3) n', types }),
      )
      expect(await pidOf(pool)).toBe(pid)
    })
  })

  test('a client that arrives after the request was rejected is not used', async () => {
    const prepare = (pool: Pool): void => {
      const connect = pool.connect.bind(pool) as () => Promise<PoolClient>
      let isSlow = true
      const wrapped = async (callback: Wide): Promise<unknown> => {
        const wasSlow = isSlow
        isSlow = false
        const got = setTimeout(wasSlow ? 40 : 0).then(async () => {
          const client = await connect()
          process.nextTick(callback, undefined, client)
          return client
        })
        if (!wasSlow) return got
        const timeout = setTimeout(20).then(() => Promise.reject(new Error('my own timeout')))
        return Promise.race([got, timeout])
      }
      Object.assign(pool, { connect: wrapped })
    }
    await withPool(
      {},
      async (pool) => {
        const text = `insert into note (text) values ('late')`
        expect(await failureOf(pool.query(text))).toMatchObject({ message: 'my own timeout' })
        await setTimeout(80)
        expect(await pool.query('select 1 as one')).toMatchObject(ONE)
        expect(await app.rows()).toEqual([])
      },
      prepare,
    )
  })

  test('a single client can be used directly in withClient()', async () => {
    await withOneClient(async (client) => {
      const one = share(client)
      const results = await Promise.all([
        one.withClient((inner) => (inner as Client).query('select 1 as one')),
        client.query('select 1 as one'),
      ])
      expect(results).toMatchObject([ONE, ONE])
    })
  })

  test('a single client that was ended refuses later statements', async () => {
    const client = new Client({ connectionString: app.url })
    await client.connect()
    share(client)
    const slow = failureOf(client.query('select pg_sleep(10)'))
    await setTimeout(20)
    client.connection.stream.destroy()
    await client.end()
    expect((await slow).message).toContain('Connection terminated')
    await failureOf(client.query('select 1'))
  })
})
