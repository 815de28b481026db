import { Client } from 'pg'
import { expect, test } from 'vitest'
import { useDatabase } from './database.ts'

const database = useDatabase()

test('a test file has a database to itself', async () => {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  const { rows } = await client.query(
    `select current_setting('max_prepared_transactions')::int > 0 as prepares,
      (select count(*)::int from pg_stat_activity where datname = current_database()) as sessions`,
  )
  await client.end()
  expect(rows).toEqual([{ prepares: true, sessions: 1 }])
})
