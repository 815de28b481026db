import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import { SessionKilledError } from '../errors.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import type { Database } from '../database/database.ts'
import { currentScope } from '../transaction/scope.ts'
import { writtenTables } from './written-tables.ts'

/**
 * The connection that Kysely's consumers get: one for each lease, over the one that Kysely keeps
 * for the physical client. What goes through it, goes through its borrower.
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
    const answer = this.#run(() => this.connection.executeQuery<R>(query, ...rest))
    return this.database.onWrite === undefined ? answer : this.#reportWrites(query, answer)
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
    // a generator runs where it is asked for its next value
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
    // Kysely's own code runs as the borrower's already
    const scope = currentScope()
    if (LeaseRequest.under(scope, this.database) === this.request) return fn()
    return this.request.run(this.database, scope, fn)
  }
}

/**
 * The connection of one statement that its caller may give up. While it waits, it is taken out of
 * the queue: neither strategy of Kysely's may hit what runs there for others.
 */
export class AbortableConnection extends LeasedConnection {
  readonly #controller: AbortController

  constructor(leased: LeasedConnection) {
    const controller = new AbortController()
    super(leased.connection, leased.database, leased.request.for(controller.signal))
    this.#controller = controller
    ignoreSecrets(this, Object.getPrototypeOf(leased.connection) as object)
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

const classes = new WeakMap<object, typeof LeasedConnection>()

/**
 * The class of leased connections for those of a driver. By methods of its own Kysely's driver marks
 * its connection, for instance to discard it when a rollback failed. The bridge finds out itself what
 * must be discarded, so they do nothing here.
 */
export function leasedClass(connection: DatabaseConnection): typeof LeasedConnection {
  const prototype = Object.getPrototypeOf(connection) as object
  let known = classes.get(prototype)
  if (known === undefined) {
    known = class extends LeasedConnection {}
    ignoreSecrets(known.prototype, prototype)
    classes.set(prototype, known)
  }
  return known
}

function ignoreSecrets(target: object, prototype: object): void {
  for (const key of Object.getOwnPropertySymbols(prototype)) Reflect.set(target, key, ignore)
}

function ignore(): void {}
