import type { Duplex } from 'node:stream'
import type { Pool, PoolClient } from 'pg'
import { isReady } from './messages.ts'

type Listener = (...args: unknown[]) => void

/** Uses the socket of a client while `fn` runs. pg has connected it, but neither reads nor writes meanwhile. */
export async function withRawConnection(
  pool: Pool,
  fn: (send: (trips: readonly Buffer[]) => Promise<void>) => Promise<void>,
): Promise<void> {
  const client = await pool.connect()
  // Only the type of Client declares the connection, but a client of a pool is a Client, too.
  const { stream } = (client as PoolClient & { connection: { stream: Duplex } }).connection
  const listeners = stream.listeners('data') as Listener[]
  stream.removeAllListeners('data')
  const received = new Received()
  stream.on('data', received.read)
  try {
    await fn(async (trips) => {
      for (const trip of trips) {
        const answered = received.untilReady()
        stream.write(trip)
        await answered
      }
    })
  } finally {
    stream.off('data', received.read)
    for (const listener of listeners) stream.on('data', listener)
    client.release()
  }
}

class Received {
  #ready: (() => void) | undefined

  untilReady(): Promise<void> {
    return new Promise((resolve) => {
      this.#ready = resolve
    })
  }

  readonly read = (chunk: Buffer): void => {
    if (isReady(chunk)) this.#ready?.()
  }
}
