import { Client } from 'pg'

/**
 * Makes PgBouncer open several sessions in a database. It takes them in turns from then on, so that
 * nobody finds by chance in a session what he has left in it.
 */
export async function openSessions(url: string): Promise<void> {
  const clients = [new Client(url), new Client(url), new Client(url)]
  try {
    await Promise.all(clients.map((client) => client.connect()))
    // a session each, because none is given back before all are there
    await Promise.all(clients.map((client) => client.query('begin')))
    await Promise.all(clients.map((client) => client.query('commit')))
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}
