import type { ConnectionProvider, SingleConnectionProvider } from 'kysely'
import type { Database } from '../database/database.ts'
import type { LeaseRequest } from '../database/lease-request.ts'
import { currentScope, runIn, type Scope } from '../transaction/scope.ts'
import { type LeasedConnection, leasedConnection } from './leased-connection.ts'
import { type Consumer, pendingRequest } from './pool-provider.ts'

/**
 * Provides the one connection of a transaction. Kysely would send one statement at a time; the
 * queue of the bridge keeps the order for both layers, and lets more than one leave together.
 */
export class BoundProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #provider: SingleConnectionProvider
  readonly statements: ConnectionProvider
  #connection: LeasedConnection | undefined
  #asked: Promise<LeasedConnection> | undefined
  /** How many wait for the connection. Those who come now must come behind them. */
  #waiting = 0

  constructor(database: Database, provider: SingleConnectionProvider) {
    this.#database = database
    this.#provider = provider
    this.statements = new BoundStatementProvider(this, database)
  }

  provideConnection<T>(consumer: Consumer<T>): Promise<T> {
    const { known } = this
    const scope = currentScope()
    const pending = pendingRequest(scope, this.#database)
    if (pending !== undefined) {
      return this.wait((around) => this.#provideNested(around, consumer, scope, pending))
    }
    return known === undefined ? this.wait(consumer) : consumer(known)
  }

  /** The connection, if it can be used at once. */
  get known(): LeasedConnection | undefined {
    return this.#waiting === 0 ? this.#connection : undefined
  }

  /** Calls `consumer` when the connection is known, and those who have waited longer are served. */
  async wait<T>(consumer: (connection: LeasedConnection) => Promise<T>): Promise<T> {
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
    around: LeasedConnection,
    consumer: Consumer<T>,
    scope: Scope | undefined,
    request: LeaseRequest,
  ): Promise<T> {
    const { connection } = around
    const { lease: on } = around.request
    const parent = this.#database.frameOf(on, scope) ?? null
    request.options = { ...request.options, parent, on, joins: false }
    await request.connect(this.#database, scope)
    const nested = leasedConnection(connection, this.#database, request)
    try {
      return await runIn(scope?.parent, () => consumer(nested))
    } finally {
      await request.lease?.release()
    }
  }
}

/** Provides the connection of a transaction for single statements. All of one runs in the scope of the request. */
class BoundStatementProvider implements ConnectionProvider {
  readonly #bound: BoundProvider
  readonly #database: Database

  constructor(bound: BoundProvider, database: Database) {
    this.#bound = bound
    this.#database = database
  }

  provideConnection<T>(consumer: Consumer<T>): Promise<T> {
    const { known } = this.#bound
    if (known === undefined) return this.#bound.wait(consumer)
    const { connection, request } = known
    return request.run(this.#database, currentScope(), () => consumer(connection))
  }
}
