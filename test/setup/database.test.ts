import { Client } from 'pg'
import { expect, test } from 'vitest'
import { useDatabase } from './database.ts'

const database = useDatabase()

test('a test file has a database to itself', async () => {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  const { rows } = await client.query(
    `select count(*)::int as sessions from pg_stat_activity where datname = current_database()`,
  )
  await client.end()
  expect(rows).toEqual([{ sessions: 1 }])
})
