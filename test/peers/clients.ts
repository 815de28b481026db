// Gives a suite clients that are taken from a pool, since those can be in a transaction that was begun
// manually. PEERS_CLIENTS says whether the pool is shared and whether a transaction is begun.
// Preloaded into the suite's processes.

import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { drizzle } from 'drizzle-orm/node-postgres'
import type Pg from 'pg'
import { shareConnection } from 'shared-connection'
import { noteShared } from './witness.ts'

const pg: { Client: unknown; Pool: typeof Pg.Pool } = createRequire(
  join(process.cwd(), 'suite.js'),
)('pg')
const manner = process.env['PEERS_CLIENTS'] ?? ''
const isShared = manner.includes('shared')
const isInTransaction = manner.includes('begun')

type Query = (...args: unknown[]) => unknown
type Callback = (error?: unknown) => void

/** As much of pg's Client as pg-cursor's suite uses. */
class LeasedClient extends EventEmitter {
  readonly #pool = new pg.Pool({ max: 1 })
  #lease: Promise<Pg.PoolClient> | undefined
  #client: Pg.PoolClient | undefined

  constructor() {
    super()
    if (!isShared) return
    shareConnection(drizzle({ client: this.#pool }))
    noteShared()
  }

  connect(callback?: Callback): Promise<void> | undefined {
    this.#lease = this.#open()
    return answer(this.#lease, callback)
  }

  async #open(): Promise<Pg.PoolClient> {
    const client = await this.#pool.connect()
    client.on('drain', () => this.emit('drain'))
    if (isInTransaction) await client.query('begin')
    this.#client = client
    return client
  }

  query(...args: unknown[]): unknown {
    if (this.#client) return (this.#client.query as Query)(...args)
    const result = this.#lease?.then((client) => (client.query as Query)(...args))
    // A cursor is its own result, and can be read before it is sent.
    return isSubmittable(args[0]) ? args[0] : result
  }

  end(callback?: Callback): Promise<void> | undefined {
    const ended = async (): Promise<void> => {
      const client = await this.#lease
      client?.release(true)
      await this.#pool.end()
    }
    return answer(ended(), callback)
  }
}

pg.Client = LeasedClient

function answer(promise: Promise<unknown>, callback?: Callback): Promise<void> | undefined {
  if (callback === undefined) return promise.then(() => undefined)
  void callBack(promise, callback)
  return undefined
}

async function callBack(promise: Promise<unknown>, callback: Callback): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  // What it throws is no rejection.
  process.nextTick(callback, error)
}

function isSubmittable(query: unknown): boolean {
  return typeof query === 'object' && query !== null && 'submit' in query
}
