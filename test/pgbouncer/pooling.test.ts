import { Pool } from 'pg'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

// Without these tests, the project could pass without pooling anything.

const app = useApp({ pool: { max: 1 } })

async function sessionOf(text: string): Promise<number | undefined> {
  return (await app.pool.query<{ pid: number }>(text)).rows[0]?.pid
}

test('a client of the application gets different sessions, but one for each transaction', async () => {
  const pid = 'select pg_backend_pid() as pid'
  const [one, two, three, again] = [
    await sessionOf(pid),
    await sessionOf(pid),
    await sessionOf(pid),
    await sessionOf(pid),
  ]
  expect(new Set([one, two, three]).size).toBe(3)
  expect(again).toBe(one)
  await app.shared.transaction(async () => {
    expect(await sessionOf(pid)).toBe(await sessionOf(pid))
  })
  expect(app.pool.totalCount).toBe(1)
})

test('the process id that the client knows is not that of a server process', async () => {
  const client = await app.pool.connect()
  const { processID } = client as unknown as { processID: number }
  client.release()
  const { rows } = await app.observer.query('select 1 from pg_stat_activity where pid = $1', [
    processID,
  ])
  expect(rows).toEqual([])
})

test('the listed tests are impossible for plain pg, too', async () => {
  const stock = new Pool({ connectionString: app.url, max: 1 })
  const named = { name: 'one', text: 'select 1' }
  await stock.query(named)
  expect(await failureOf(stock.query(named))).toMatchObject({ code: '26000' })

  const seen = 'select current_setting($1, true) as value'
  await stock.query(`select set_config('app.x', 'lost', false)`)
  expect((await stock.query(seen, ['app.x'])).rows).toEqual([{ value: null }])

  const lock = 'select pg_try_advisory_lock(7) as taken'
  expect((await stock.query(lock)).rows).toEqual([{ taken: true }])
  expect((await stock.query(lock)).rows).toEqual([{ taken: false }])
  await stock.end()
})
