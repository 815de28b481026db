import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import type { Database } from '../database/database.ts'
import type { LeaseRequest } from '../database/lease-request.ts'
import { SessionKilledError } from '../errors.ts'
import { currentScope } from '../transaction/scope.ts'
import { writtenTables } from './written-tables.ts'

/**
 * The connection of a transaction, or of other code that keeps one. Kysely's driver has one connection
 * object for each physical client. This one wraps it for one lease, and runs every call on it in a
 * scope that names the request of that lease.
 */
export class LeasedConnection implements DatabaseConnection {
  readonly connection: DatabaseConnection
  readonly database: Database
  readonly request: LeaseRequest

  constructor(connection: DatabaseConnection, database: Database, request: LeaseRequest) {
    this.connection = connection
    this.database = database
    this.request = request
  }

  executeQuery<R>(query: CompiledQuery, ...rest: never[]): Promise<QueryResult<R>> {
    const scope = currentScope()
    const { connection, database, request } = this
    // Code that Kysely itself calls for the request is in its scope already.
    const answer =
      scope?.handle === request
        ? connection.executeQuery<R>(query, ...rest)
        : request.run(database, scope, () => connection.executeQuery<R>(query, ...rest))
    return database.onWrite === undefined ? answer : this.#reportWrites(query, answer)
  }

  async #reportWrites<R>(query: CompiledQuery, answer: Promise<QueryResult<R>>) {
    const root = this.database.frameOf(this.request.lease, currentScope())?.root
    const result = await answer
    const tables = writtenTables(query.query)
    if (tables !== undefined) await this.database.reportWrite(tables, root)
    return result
  }

  streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    ...rest: never[]
  ): AsyncIterableIterator<QueryResult<R>> {
    // The body of a generator runs in the scope of the code that asks for its next value.
    const rows = this.connection.streamQuery<R>(query, chunkSize, ...rest)
    return {
      next: () => this.#run(() => rows.next()),
      return: (value) =>
        this.#run(() => rows.return?.(value) ?? Promise.resolve({ done: true, value })),
      throw: (error) => this.#run(() => rows.throw?.(error) ?? Promise.reject(error as Error)),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  #run<T>(fn: () => T): T {
    const scope = currentScope()
    // Code that Kysely itself calls for the request is in its scope already.
    if (scope?.handle === this.request) return fn()
    return this.request.run(this.database, scope, fn)
  }
}

/**
 * The connection of one statement that its caller may abort. Kysely would send a cancel request on
 * another connection, whatever runs on this one by then. The bridge knows whether the statement still
 * waits, and then takes it out of the queue.
 */
export class AbortableConnection extends LeasedConnection {
  readonly #controller: AbortController

  constructor(leased: LeasedConnection) {
    const controller = new AbortController()
    super(leased.connection, leased.database, leased.request.for(controller.signal))
    this.#controller = controller
  }

  /** Sends a CancelRequest, if the statement runs. */
  cancelQuery(): Promise<void> {
    this.#controller.abort()
    return Promise.resolve()
  }

  /** Cancels the statement and closes the connection, if the statement runs. */
  killSession(): Promise<void> {
    this.#controller.abort(
      new SessionKilledError('the session was killed by the abort signal of a statement'),
    )
    return Promise.resolve()
  }
}

/** Wraps a connection of a driver for a request. */
export function leasedConnection(
  connection: DatabaseConnection,
  database: Database,
  request: LeaseRequest,
): LeasedConnection {
  const prototype = Object.getPrototypeOf(connection) as object
  if (!known.has(prototype)) ignoreMarks(prototype)
  return new LeasedConnection(connection, database, request)
}

/** The prototypes of the drivers' connections whose marks are ignored. */
const known = new WeakSet<object>()

/**
 * Kysely's driver marks its connection by methods that have symbols for names, for instance to discard
 * it when a rollback failed. The bridge itself finds out what must be discarded, so they do nothing on
 * a leased connection.
 */
function ignoreMarks(prototype: object): void {
  known.add(prototype)
  for (const key of Object.getOwnPropertySymbols(prototype)) {
    Reflect.set(LeasedConnection.prototype, key, ignore)
  }
}

function ignore(): void {}
