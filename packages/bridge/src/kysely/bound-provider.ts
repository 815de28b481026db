import type { ConnectionProvider, SingleConnectionProvider } from 'kysely'
import type { Database } from '../database/database.ts'
import type { LeaseRequest } from '../database/lease-request.ts'
import { currentScope, type Scope } from '../transaction/scope.ts'
import { type LeasedConnection, leasedConnection } from './leased-connection.ts'
import { type Consumer, pendingRequest } from './pool-provider.ts'

/**
 * Provides the one connection of a transaction. Kysely would send one statement at a time; the
 * queue of the bridge keeps the order for both layers, and lets more than one leave together.
 */
export class BoundProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #provider: SingleConnectionProvider
  #connection: LeasedConnection | undefined
  #asked: Promise<LeasedConnection> | undefined
  /** How many wait for the connection. Those who come now must come behind them. */
  #waiting = 0

  constructor(database: Database, provider: SingleConnectionProvider) {
    this.#database = database
    this.#provider = provider
  }

  provideConnection<T>(consumer: Consumer<T>): Promise<T> {
    const scope = currentScope()
    const pending = pendingRequest(scope, this.#database)
    if (pending !== undefined) {
      return this.#wait((around) => this.#provideNested(around, consumer, scope, pending))
    }
    const known = this.#waiting === 0 ? this.#connection : undefined
    return known === undefined ? this.#wait(consumer) : consumer(known)
  }

  async #wait<T>(consumer: (connection: LeasedConnection) => Promise<T>): Promise<T> {
    this.#asked ??= this.#provider.provideConnection((it) =>
      Promise.resolve(it as LeasedConnection),
    )
    this.#waiting++
    const connection = await this.#asked
    this.#waiting--
    this.#connection = connection
    return consumer(connection)
  }

  /** A transaction in this one has the same connection, with a lease of its own. */
  async #provideNested<T>(
    { connection, request: { lease: on } }: LeasedConnection,
    consumer: Consumer<T>,
    scope: Scope | undefined,
    request: LeaseRequest,
  ): Promise<T> {
    const parent = this.#database.frameOf(on, scope) ?? null
    request.options = { ...request.options, parent, on, joins: false }
    await request.connect(this.#database, scope)
    try {
      return await consumer(leasedConnection(connection, this.#database, request))
    } finally {
      await request.taken?.release()
    }
  }
}
