import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { Client } from 'pg'
import { freshDatabase } from '@shared-connection/test/postgres'
import type { Address } from './suites.ts'

export interface Server {
  /** An empty database. */
  readonly url: string
  close(): Promise<void>
}

/** Gives a suite an empty database of the server, at the address that is written into the suite. */
export async function serve(address: Address | undefined, serverUrl: string): Promise<Server> {
  if (address === undefined) {
    const database = await freshDatabase(serverUrl)
    return { url: database.url, close: () => database.drop() }
  }
  const { user, password, database } = address
  await execute(serverUrl, [
    `drop database if exists "${database}" with (force)`,
    `drop role if exists "${user}"`,
    `create role "${user}" superuser login password '${password}'`,
    `create database "${database}" owner "${user}"`,
  ])
  const close = await forward(address.port, new URL(serverUrl))
  return { url: `postgres://${user}:${password}@localhost:${address.port}/${database}`, close }
}

/** Forwards the connections to a port. */
async function forward(
  port: number,
  { hostname, port: target }: URL,
): Promise<() => Promise<void>> {
  const server = createServer((socket) => {
    const other = connect(Number(target), hostname)
    socket.pipe(other).pipe(socket)
    for (const [one, another] of [
      [socket, other],
      [other, socket],
    ] as const) {
      // A peer that was killed resets its connection. The other end learns it from the close.
      one.on('error', () => another.destroy())
      one.on('close', () => another.destroy())
    }
  })
  server.listen(port, 'localhost')
  await once(server, 'listening')
  return async () => {
    server.close()
  }
}

async function execute(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}
