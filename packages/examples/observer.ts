// The surroundings of an example: its tables, and an observer that takes no part in its transactions.

import { Pool } from 'pg'
import { createTables, dropTables } from './schema.ts'

const url = process.env.DATABASE_URL
if (!url) {
  throw new Error('DATABASE_URL is not set; `pnpm examples 01` runs one in a database made for it')
}
const observer = new Pool({ connectionString: url, max: 1 })

/** Reads the first column of the committed rows, on a separate connection. */
export async function committed(sql: string): Promise<unknown[]> {
  const { rows } = await observer.query<unknown[]>({ text: sql, rowMode: 'array' })
  return rows.map(([value]) => value)
}

/** Creates the tables of `schema.ts`. Throws if the database has one of them already. */
export async function prepare(pool = observer): Promise<void> {
  await pool.query(createTables)
}

/** Closes the connections of an example and drops its tables. */
export async function cleanUp(...pools: readonly Pool[]): Promise<void> {
  await Promise.all(pools.map((pool) => pool.end()))
  await observer.query(dropTables)
  await observer.end()
}
