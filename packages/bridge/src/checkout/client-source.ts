import { Connection } from '../connection/connection.ts'
import type { PgClient } from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import { Checkout } from './checkout.ts'
import { Source } from './source.ts'

/** A single client is a pool of one: whole transactions take turns on it. */
export class ClientSource extends Source {
  readonly capacity = 1
  readonly #connection: Connection
  /** The method that the client had before it was adopted. */
  readonly #query: PgClient['query']
  /** Resolves when the last one who asked has given the client back. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(client: PgClient, database: object, settings: Settings) {
    super()
    this.#query = client.query
    // The client is about to get the bridge's own. A method that it inherits may be wrapped later.
    const owner = Object.hasOwn(client, 'query')
      ? { query: client.query }
      : (Object.getPrototypeOf(client) as PgClient)
    this.#connection = new Connection(client, owner, database, settings)
  }

  protected take(receive: (checkout: Checkout) => void): void {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.#last = promise
    void before.then(() => {
      const { client, onError } = this.#connection
      // A lost client keeps the listener, since nobody else hears its later errors.
      if (!client.listeners('error').includes(onError)) client.on('error', onError)
      receive(new Checkout(this.#connection, this, (discard) => resolve(this.#reset(discard))))
    })
  }

  /**
   * A client that should be discarded cannot be replaced, so what is open on it is rolled back, unless
   * it is a transaction of somebody else.
   */
  #reset(discard: boolean): Promise<unknown> | undefined {
    const { hasForeignTransaction } = this.#connection
    this.#connection.hasForeignTransaction = false
    if (hasForeignTransaction) return undefined
    if (!discard || this.#connection.lost !== undefined) return undefined
    const answer = this.#query.call(this.#connection.client, 'rollback') as Promise<unknown>
    // If it fails, the next statement fails too, and its sender gets the error.
    return answer.catch(() => undefined)
  }
}
