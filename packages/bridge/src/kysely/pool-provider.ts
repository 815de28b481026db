import type { ConnectionProvider, DatabaseConnection, QueryExecutor } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Lease, LeaseOptions } from '../database/lease.ts'
import { LeaseRequest, StatementRequest } from '../database/lease-request.ts'
import { DifferentPoolError } from '../errors.ts'
import type { CallSite } from '../transaction/call-site.ts'
import { currentScope, runIn, type Scope } from '../transaction/scope.ts'
import { leasedConnection } from './leased-connection.ts'

export type Consumer<T> = (connection: DatabaseConnection) => Promise<T>

/** Takes connections from the pool, through the user's own driver with its log and its hooks. */
export class PoolProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #userExecutor: QueryExecutor
  readonly #handle: Lease | undefined
  readonly statements: ConnectionProvider

  /** `handle` is the lease of the transaction that all of them belong to. */
  constructor(database: Database, userExecutor: QueryExecutor, handle?: Lease) {
    this.#database = database
    this.#userExecutor = userExecutor
    this.#handle = handle
    this.statements = new StatementProvider(database, userExecutor, handle)
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    return this.provideFor(undefined, consumer, ...rest)
  }

  /** The same for a call of the user's at `callSite`. */
  provideFor<T>(
    callSite: CallSite | undefined,
    consumer: Consumer<T>,
    ...rest: never[]
  ): Promise<T> {
    const scope = currentScope()
    const pending = pendingRequest(scope, this.#database)
    const request = pending ?? new LeaseRequest({ layer: 'kysely', callSite })
    const parent = this.#handle && this.#database.frameOf(this.#handle, scope)
    // a transaction that begins on a handle never joins
    if (parent !== undefined) request.options = { ...request.options, parent, joins: false }
    const provide = (): Promise<T> =>
      this.#userExecutor.provideConnection(
        (connection) => {
          if (request.connection === undefined) throw differentPool(this.#database)
          const leased = leasedConnection(connection, this.#database, request)
          // the body of a transaction must not find the request, while a plain consumer may
          if (pending === undefined) return consumer(leased)
          return runIn(scope?.parent, () => consumer(leased))
        },
        ...rest,
      )
    return pending === undefined ? request.run(this.#database, scope, provide) : provide()
  }
}

const STATEMENT: LeaseOptions = { layer: 'kysely' }

/** Provides connections for single statements. All of one runs in the scope of its request. */
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
    const request = new StatementRequest(STATEMENT, this.#handle)
    const provide = (): Promise<T> =>
      this.#userExecutor.provideConnection(
        (connection) => {
          if (request.connection === undefined) throw differentPool(this.#database)
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

function differentPool(database: Database): DifferentPoolError {
  const { name } = database.settings
  return new DifferentPoolError(
    `this Kysely database takes its connections from another pool than the Drizzle database${name === undefined ? '' : ` "${name}"`} that it was to share with. ` +
      'Make it with new PostgresDialect({ pool: orm.$client }), or let shared.kysely() make it. Nothing was sent',
  )
}
