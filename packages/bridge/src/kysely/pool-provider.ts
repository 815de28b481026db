import type { ConnectionProvider, DatabaseConnection, QueryExecutor } from 'kysely'
import type { Database } from '../database/database.ts'
import { disposedError } from '../database/disposed-error.ts'
import type { Lease } from '../database/lease.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import { DifferentPoolError } from '../errors.ts'
import { nameOf } from '../settings.ts'
import type { CallSite } from '../transaction/call-site.ts'
import { currentScope, type Scope } from '../transaction/scope.ts'
import { leasedConnection } from './leased-connection.ts'

export type Consumer<T> = (connection: DatabaseConnection) => Promise<T>

/** Takes connections from the pool, through the user's own driver with its log and its hooks. */
export class PoolProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #userExecutor: QueryExecutor
  readonly #handle: Lease | undefined
  readonly #callSite: CallSite | undefined

  /**
   * `handle` is the lease of the transaction that the connections are for, if it is one that another
   * layer has begun. `callSite` is that of a stream.
   */
  constructor(
    database: Database,
    userExecutor: QueryExecutor,
    handle?: Lease,
    callSite?: CallSite,
  ) {
    this.#database = database
    this.#userExecutor = userExecutor
    this.#handle = handle
    this.#callSite = callSite
  }

  /** The same for a stream that was asked for at `callSite`. */
  for(callSite: CallSite): PoolProvider {
    return new PoolProvider(this.#database, this.#userExecutor, this.#handle, callSite)
  }

  /** The same for single statements. */
  forStatements(): ConnectionProvider {
    return new StatementProvider(this.#database, this.#userExecutor, this.#handle)
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    if (this.#database.isDisposed) return Promise.reject(disposedError(this.#database.settings))
    const scope = currentScope()
    const pending = pendingRequest(scope, this.#database)
    const request = pending ?? new LeaseRequest({ layer: 'kysely', callSite: this.#callSite })
    const parent = this.#handle && this.#database.frameOf(this.#handle, scope)
    // A transaction that begins on a handle never joins.
    if (parent !== undefined) request.options = { ...request.options, parent, joins: false }
    const provide = (): Promise<T> =>
      this.#userExecutor.provideConnection(
        (connection) => {
          assertConnected(request, this.#database)
          return consumer(leasedConnection(connection, this.#database, request))
        },
        ...rest,
      )
    return pending === undefined ? request.run(this.#database, scope, provide) : provide()
  }
}

/** Takes connections for single statements. All of one runs in the scope of its request. */
class StatementProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #userExecutor: QueryExecutor
  readonly #handle: Lease | undefined

  constructor(database: Database, userExecutor: QueryExecutor, handle: Lease | undefined) {
    this.#database = database
    this.#userExecutor = userExecutor
    this.#handle = handle
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    if (this.#database.isDisposed) return Promise.reject(disposedError(this.#database.settings))
    const request = LeaseRequest.forStatement(this.#handle)
    const provide = (): Promise<T> =>
      this.#userExecutor.provideConnection(
        (connection) => {
          assertConnected(request, this.#database)
          return consumer(connection)
        },
        ...rest,
      )
    return request.run(this.#database, currentScope(), provide)
  }
}

/** The transaction that has asked for its connection, if one has. */
export function pendingRequest(
  scope: Scope | undefined,
  database: Database,
): LeaseRequest | undefined {
  const request = LeaseRequest.of(scope, database)
  return request?.connection === undefined ? request : undefined
}

/** The driver has a connection now. If the request got none, the driver has another pool. */
function assertConnected(request: LeaseRequest, database: Database): void {
  if (request.connection !== undefined) return
  throw new DifferentPoolError(
    `this Kysely database takes its connections from another pool than the Drizzle database that it was to share with (${nameOf(database.settings)}). ` +
      'Make it with new PostgresDialect({ pool: orm.$client }), or let shared.kysely() make it. Nothing was sent',
  )
}
