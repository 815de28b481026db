import type { PgClient } from './pg.ts'

/** Whether the server waits for the next statement. A closed connection counts as idle. */
function isIdle(client: PgClient): boolean {
  return client.readyForQuery !== false || client.connection.stream.destroyed === true
}

/**
 * Returns a function that says whether the server has finished what it runs now. That may go on after
 * `pg` has given it up. What the client is busy with afterwards does not count.
 */
export function finishWatch(client: PgClient): () => boolean {
  let isFinished = isIdle(client)
  client.connection.once('readyForQuery', () => (isFinished = true))
  return () => isFinished || isIdle(client)
}

/**
 * Resolves when the server is ready for the next statement; `undefined` if it is ready now.
 * PostgreSQL sends an error first and the status byte behind it, often in another packet.
 */
export function whenIdle(client: PgClient): Promise<void> | undefined {
  if (isIdle(client)) return undefined
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
