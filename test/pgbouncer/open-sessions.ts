import { Client } from 'pg'

/**
 * Makes PgBouncer open several sessions in a database. It then uses them in turns, so that a client cannot
 * find by chance the state that it has left in a session.
 */
export async function openSessions(url: string): Promise<void> {
  const clients = [new Client(url), new Client(url), new Client(url)]
  try {
    await Promise.all(clients.map((client) => client.connect()))
    // Each gets its own session, because none is released before all are open.
    await Promise.all(clients.map((client) => client.query('begin')))
    await Promise.all(clients.map((client) => client.query('commit')))
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}
