import type { PoolClient } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

/** Defines the text of each query as an accessor that cannot be assigned, as dd-trace does. */
function trace(client: PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown
  const traced = (sent: { text: string }, ...rest: unknown[]): unknown => {
    const { text } = sent
    Object.defineProperty(sent, 'text', { get: () => text })
    return query(sent, ...rest)
  }
  Object.assign(client, { query: traced })
}

describe('a client whose query() defines the text of what it sends', () => {
  const app = useApp({ pool: { max: 1 } })
  beforeAll(() => void app.pool.on('connect', trace))

  const first = { name: 'first', text: 'select 1 as a' }
  const second = { name: 'second', text: 'select $1::int / $2::int as b' }
  const divide = (by: number) => app.pool.query({ ...second, values: [2, by] })

  /** Expects that both can be sent again, at any place. */
  async function expectKnown(): Promise<void> {
    const a = { rows: [{ a: 1 }] }
    const b = { rows: [{ b: 2 }] }
    await app.shared.transaction(async () => {
      expect(await Promise.all([app.pool.query(first), divide(1)])).toMatchObject([a, b])
      expect(await Promise.all([divide(1), app.pool.query(first)])).toMatchObject([b, a])
    })
    expect(await app.pool.query(first)).toMatchObject(a)
    expect(await divide(1)).toMatchObject(b)
    const { rows } = await app.pool.query('select from pg_prepared_statements')
    expect(rows).toHaveLength(2)
  }

  test('knows which of several pipelined statements it has prepared', async () => {
    await app.shared.transaction(() => Promise.all([app.pool.query(first), divide(1)]))
    await expectKnown()
  })

  test('knows that it has prepared a statement that failed when it ran', async () => {
    await app.pool.query('deallocate all')
    const failing = app.shared.transaction(() => Promise.all([app.pool.query(first), divide(0)]))
    expect(await failureOf(failing)).toMatchObject({ code: '22012' })
    await expectKnown()
  })
})
