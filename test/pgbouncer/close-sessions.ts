import { Client } from 'pg'

/** Makes PgBouncer give up its sessions in a database, which could not be dropped with them. */
export async function closeSessions(url: string): Promise<void> {
  const console = new URL(url)
  const database = console.pathname.slice(1)
  console.pathname = '/pgbouncer'
  const client = new Client(console.href)
  await client.connect()
  try {
    await client.query(`kill ${database}`)
  } finally {
    await client.end()
  }
}
