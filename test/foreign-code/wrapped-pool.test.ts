import { drizzle } from 'drizzle-orm/node-postgres'
import { Pool } from 'pg'
import { shareConnection } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

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

type Connect = (callback?: unknown) => unknown

const wrappers: readonly { name: string; wrap: (connect: Connect) => Connect }[] = [
  { name: 'knows promises only', wrap: (connect) => async () => connect() },
  { name: 'passes on a callback', wrap: (connect) => async (callback) => connect(callback) },
]

describe.each(wrappers)('a pool whose connect() was wrapped by what $name', ({ wrap }) => {
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
