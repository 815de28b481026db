import { Connection } from '../connection/connection.ts'
import type { PgClient, PgPool } from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import { Checkout } from './checkout.ts'
import { Source } from './source.ts'

/** A pool of `pg`, asked through the method that it had before it was adopted. */
export class PoolSource extends Source {
  readonly #pool: PgPool
  readonly #connect: PgPool['connect']
  readonly #database: object
  readonly #settings: Settings
  readonly #connections = new WeakMap<PgClient, Connection>()

  constructor(pool: PgPool, database: object, settings: Settings) {
    super()
    this.#pool = pool
    this.#connect = pool.connect
    this.#database = database
    this.#settings = settings
  }

  get capacity(): number {
    return this.#pool.options.max ?? Infinity
  }

  protected take(receive: (checkout: Checkout) => void, refuse: (error: unknown) => void): void {
    let state: 'waiting' | 'taken' | 'refused' = 'waiting'
    const take = (client: PgClient): void => {
      // The caller has received an error already.
      if (state === 'refused') client.release?.()
      if (state !== 'waiting') return
      state = 'taken'
      receive(this.#checkOut(client))
    }
    const fail = (error: unknown): void => {
      if (state === 'waiting') state = 'refused'
      refuse(error)
    }
    const answer = this.#connect.call(this.#pool, (error: Error | undefined, client: PgClient) => {
      if (error) fail(error)
      else take(client)
    })
    // A wrapped `connect` may return a promise instead of calling back.
    answer?.then((client?: PgClient) => client && take(client), fail)
  }

  #checkOut(client: PgClient): Checkout {
    const connection = this.#connectionOf(client)
    // Its session may end with the very next message, so the listener is added at once.
    client.on('error', connection.onError)
    // The pool sets a new `release` on the client each time.
    const { release } = client
    return new Checkout(connection, this, (discard) => release?.call(client, discard))
  }

  #connectionOf(client: PgClient): Connection {
    let connection = this.#connections.get(client)
    if (connection === undefined) {
      const { stream } = this.#pool.options
      connection = new Connection(client, client, this.#database, this.#settings, stream)
      this.#connections.set(client, connection)
    }
    return connection
  }
}
