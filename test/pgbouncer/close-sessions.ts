import { Client } from 'pg'

/** Makes PgBouncer close its sessions in a database, so that it can be reused or dropped. */
export async function closeSessions(url: string): Promise<void> {
  const console = new URL(url)
  const database = console.pathname.slice(1)
  console.pathname = '/pgbouncer'
  const client = new Client(console.href)
  await client.connect()
  try {
    await client.query(`kill ${database}`)
    // Otherwise it would accept no clients for the database from now on.
    await client.query(`resume ${database}`)
  } finally {
    await client.end()
  }
}
