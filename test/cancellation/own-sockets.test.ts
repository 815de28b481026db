import { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Client, Pool } from 'pg'
import { shareConnection } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

describe('a pool with a custom stream', () => {
  const app = useApp({ pool: { max: 1 } })
  test('cancels statements through such a stream', { timeout: 20000 }, async () => {
    const { port, hostname } = new URL(app.url)
    let streams = 0
    class Elsewhere extends Socket {
      override connect(): this {
        streams++
        return super.connect(Number(port), hostname)
      }
    }
    const url = new URL(app.url)
    url.port = '1'
    const pool = new Pool({ connectionString: url.href, max: 1, stream: () => new Elsewhere() })
    pool.on('error', () => {})
    const orm = drizzle({ client: pool })
    const shared = shareConnection(orm)
    const { rows } = await pool.query('select pg_backend_pid() as pid')
    const failure = await failureOf(
      shared.transaction(() => pool.query('select pg_sleep(20)'), { timeout: 100 }),
    )
    expect(failure.name).toBe('TransactionTimeoutError')
    const { rows: after } = await pool.query('select pg_backend_pid() as pid')
    await pool.end()
    expect(after).toEqual(rows)
    expect(streams).toBe(2)
  })
})

describe('a single client', () => {
  const app = useApp()

  test('that has lost its connection does not collect listeners', async () => {
    const client = new Client({ connectionString: app.url })
    await client.connect()
    client.on('error', () => {})
    const { rows } = await client.query('select pg_backend_pid() as pid')
    const orm = drizzle({ client })
    const shared = shareConnection(orm, { turnTimeout: 2000 })
    const p = Promise.allSettled([client.query('select pg_sleep(10)')])
    await setTimeout(50)
    await app.observer.query('select pg_terminate_backend($1)', [rows[0].pid])
    await p
    for (let n = 0; n < 15; n++) {
      await Promise.allSettled([client.query('select 1')])
      await Promise.allSettled([shared.transaction(() => client.query('select 1'))])
    }
    expect(client.listenerCount('error')).toBeLessThan(5)
    shared.dispose()
  })
})
