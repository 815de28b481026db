import type { PgClient } from './pg.ts'

/**
 * Waits until the server is ready for the next statement; `undefined` where it is now. PostgreSQL
 * sends an error first and the status byte behind it, often in another packet.
 */
export function whenIdle(client: PgClient): Promise<void> | undefined {
  // what has closed will say nothing more
  if (client.readyForQuery !== false || client.connection.stream.destroyed) return undefined
  return new Promise((resolve) => {
    const done = (): void => {
      client.removeListener('drain', done)
      client.removeListener('end', done)
      resolve()
    }
    client.on('drain', done)
    client.on('end', done)
  })
}
