import type { Origin } from '../transaction/origin.ts'
import type { PgConnection, Submittable } from './pg.ts'

/**
 * Carries a query that speaks the protocol itself (a cursor, a COPY stream) and tells when it is
 * done: those have no promise, and the connection is theirs until then.
 */
export class Carrier implements Submittable {
  readonly #query: Submittable
  readonly #done: (error?: unknown) => void
  /** Where the user's call is. */
  readonly origin: Origin | undefined
  /** When its last page had come, as `performance.now()` tells it. */
  suspendedAt = 0
  /** Written by clients that answer in binary. */
  binary: unknown

  constructor(query: Submittable, origin: Origin | undefined, done: (error?: unknown) => void) {
    this.#query = query
    this.origin = origin
    this.#done = done
  }

  /** Whether it waits for its reader to ask for the next page. */
  get isSuspended(): boolean {
    // what pg-cursor says of itself
    return this.suspendedAt > 0 && (this.#query as { state?: string }).state === 'idle'
  }

  /** The client hands its type parsers to a query through its result. */
  get _result(): unknown {
    return (this.#query as { _result?: unknown })._result
  }

  submit(connection: PgConnection): Error | null | undefined | void {
    return this.#query.submit(connection)
  }

  handleRowDescription(message: unknown, connection: PgConnection): void {
    this.#query.handleRowDescription(message, connection)
  }

  handleDataRow(message: unknown, connection: PgConnection): void {
    this.#query.handleDataRow(message, connection)
  }

  handleCommandComplete(message: unknown, connection: PgConnection): void {
    this.#query.handleCommandComplete(message, connection)
  }

  handleEmptyQuery(connection: PgConnection): void {
    this.#query.handleEmptyQuery(connection)
  }

  handlePortalSuspended(connection: PgConnection): void {
    this.suspendedAt = performance.now()
    this.#query.handlePortalSuspended(connection)
  }

  handleCopyInResponse(connection: PgConnection): void {
    this.#query.handleCopyInResponse(connection)
  }

  handleCopyData(message: unknown, connection: PgConnection): void {
    this.#query.handleCopyData(message, connection)
  }

  handleError(error: unknown, connection: PgConnection): void {
    this.#query.handleError(error, connection)
    this.#done(error)
  }

  handleReadyForQuery(connection: PgConnection): void {
    this.#query.handleReadyForQuery(connection)
    this.#done()
  }
}
