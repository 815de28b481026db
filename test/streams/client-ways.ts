import type { PoolClient } from 'pg'
import type { App } from '../setup/app.ts'

/** One way to a client of `pg`, for packages that bring query objects of their own. */
export interface Way {
  readonly name: string
  /** Runs `fn` with the client, and gives it back. */
  lend<T>(app: App, fn: (client: PoolClient) => Promise<T>): Promise<T>
  /** The lines that the log shows: those in parentheses are not reported from every client. */
  heard(lines: readonly string[]): string[]
}

/** The physical client, whose statements are not in the log. */
const physical: Way = {
  name: 'withClient()',
  lend: (app, fn) => app.shared.withClient(fn),
  heard: (lines) => lines.filter((line) => !line.startsWith('(')),
}

/** A client of the pool, whose statements are the bridge's to send. */
const pooled: Way = {
  name: 'a client of pool.connect()',
  async lend(app, fn) {
    const client = await app.pool.connect()
    try {
      return await fn(client)
    } finally {
      client.release()
    }
  },
  heard: (lines) => lines.map((line) => line.replace(/^\((.*)\)$/, '$1')),
}

export const ways: readonly Way[] = [physical, pooled]
