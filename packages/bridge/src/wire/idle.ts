import type { PgClient } from '../protocol/pg.ts'

/** Whether the server waits for the next statement; what has closed will say nothing more. */
function isIdle(client: PgClient): boolean {
  return client.readyForQuery !== false || client.connection.stream.destroyed === true
}

/**
 * Gives back whether the server is done with what it runs now, which may run on when `pg` has given it
 * up. What the client is busy with behind that is another's.
 */
export function answerOf(client: PgClient): () => boolean {
  let isAnswered = isIdle(client)
  client.connection.once('readyForQuery', () => (isAnswered = true))
  return () => isAnswered || isIdle(client)
}

/**
 * Waits until the server is ready for the next statement; `undefined` where it is now. PostgreSQL
 * sends an error first and the status byte behind it, often in another packet.
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
