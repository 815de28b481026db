import { drizzle } from 'drizzle-orm/node-postgres'
import { Pool, type PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import { shareConnection } from 'shared-connection'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

describe('withClient()', () => {
  const app = useApp()
  const inside = (fn: () => never) => app.shared.withClient(() => Promise.reject(attempt(fn)))

  function attempt(fn: () => never): unknown {
    try {
      return fn()
    } catch (error) {
      return error
    }
  }

  test.each([
    { name: 'outside', run: (fn: () => never) => inside(fn) },
    {
      name: 'in a transaction',
      run: (fn: () => never) => app.shared.transaction(() => inside(fn)),
    },
  ])('rejects with the very error of its function, and its stack, $name', async ({ run }) => {
    function deepInUserCode(): never {
      throw Object.freeze(new Error('mine'))
    }
    const error = await failureOf(run(deepInUserCode))
    expect(error.message).toBe('mine')
    expect(error.stack).toContain('deepInUserCode')
  })
})

describe('a handle of Drizzle', () => {
  const app = useApp()

  test.each(['tx', 'session'])('nests though its %s is frozen', async (what) => {
    await app.orm.transaction(async (tx) => {
      Object.freeze(what === 'tx' ? tx : (tx as unknown as { session: object }).session)
      await tx.transaction((inner) => inner.insert(notes).values({ text: 'a' }))
    })
    expect(await app.rows()).toEqual(['a'])
  })
})

describe('a client whose query() somebody has wrapped', () => {
  const app = useApp({ pool: { max: 1 } })

  beforeAll(() => {
    // the bridge sends through the `query` that a client has when it comes into its hands
    app.pool.on('connect', (client: PoolClient) => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      const wrapped = (sent: { text?: string }, ...rest: unknown[]): unknown => {
        if (sent.text?.includes('forbidden')) return Promise.reject(new Error('refused'))
        if (sent.text?.includes('cached')) {
          return Promise.resolve({ command: 'SELECT', rowCount: 1, rows: ['cached'], fields: [] })
        }
        if (sent.text?.includes('wrong')) sent.text = sent.text.replace('wrong', 'right')
        return query(sent, ...rest)
      }
      Object.assign(client, { query: wrapped })
    })
  })

  test.each([false, true])('may refuse and answer itself (in a transaction: %s)', async (is) => {
    const ask = async (): Promise<void> => {
      expect((await app.pool.query('select 1 as cached')).rows).toEqual(['cached'])
      const error = await failureOf(app.pool.query('select 1 as forbidden'))
      expect(error.message).toBe('refused')
      expect((await app.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    }
    await (is ? app.shared.transaction(ask) : ask())
  })

  test.each([false, true])('may change what is sent (in a transaction: %s)', async (is) => {
    const right = { rows: [{ a: 'right' }] }
    const ask = async (): Promise<void> => {
      expect(await app.pool.query(`select 'wrong' as a`)).toMatchObject(right)
      const client = await app.pool.connect()
      const cursor = client.query(new Cursor(`select 'wrong' as a`))
      expect({ rows: await cursor.read(1) }).toEqual(right)
      await cursor.close()
      client.release()
    }
    await (is ? app.shared.transaction(ask) : ask())
  })
})

type Connect = (callback?: unknown) => unknown

const wrappers: readonly { name: string; wrap: (connect: Connect) => Connect }[] = [
  { name: 'knows promises only', wrap: (connect) => async () => connect() },
  { name: 'passes on a callback', wrap: (connect) => async (callback) => connect(callback) },
]

describe.each(wrappers)('a pool whose connect() was wrapped by code that $name', ({ wrap }) => {
  const app = useApp({ pool: { max: 1 } })
  let unhandled: unknown[] = []
  const onUnhandled = (error: unknown): void => {
    unhandled.push(error)
  }
  beforeEach(() => {
    unhandled = []
    process.on('unhandledRejection', onUnhandled)
  })
  afterEach(() => {
    process.off('unhandledRejection', onUnhandled)
  })

  test('works', async () => {
    const pool = new Pool({ connectionString: app.url, max: 1 })
    Object.assign(pool, { connect: wrap(pool.connect.bind(pool) as Connect) })
    const shared = shareConnection(drizzle({ client: pool }))
    const { rows } = await shared.transaction(() => pool.query('select 1 as one'))
    expect(rows).toEqual([{ one: 1 }])
    await pool.end()
    expect(unhandled).toEqual([])
  })
})
