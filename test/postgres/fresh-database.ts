import { randomBytes } from 'node:crypto'
import { Client } from 'pg'

/** A database that nobody else uses. */
export interface FreshDatabase {
  readonly url: string
  drop(): Promise<void>
}

/** Creates an empty database on the server of `serverUrl`. */
export async function freshDatabase(serverUrl: string): Promise<FreshDatabase> {
  const name = `shared_connection_${randomBytes(6).toString('hex')}`
  await execute(serverUrl, `create database ${name}`)

  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    async drop() {
      try {
        // The server waits for sessions that are just closing.
        await execute(serverUrl, `drop database if exists ${name}`)
      } catch {
        // A test that failed may have left a connection open.
        await execute(serverUrl, `drop database if exists ${name} with (force)`)
      }
    },
  }
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
