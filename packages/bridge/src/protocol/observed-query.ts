import type { Readable } from 'node:stream'
import type { CallSite } from '../transaction/call-site.ts'
import type { PgConnection, Submittable } from './pg.ts'
import type { UnsentCursor } from './unsent-cursor.ts'

/**
 * Wraps a query that speaks the protocol itself, such as a cursor or a COPY stream, to learn of its
 * end: these have no promise, and they keep the connection to themselves until then.
 */
export class ObservedQuery implements Submittable {
  readonly #query: Submittable
  readonly #unsent: UnsentCursor | undefined
  readonly #done: (error?: unknown) => void
  /** Where the user's code asked for it. */
  readonly callSite: CallSite | undefined
  #connection: PgConnection | undefined
  /** When its last page had come, by `performance.now()`. */
  suspendedAt = 0
  #isOver = false
  /** Set by clients with a `query_timeout`: it stops their timer. */
  callback: (() => void) | undefined
  /** Set by clients whose results are binary. */
  binary: unknown

  constructor(
    query: Submittable,
    callSite: CallSite | undefined,
    unsent: UnsentCursor | undefined,
    done: (error?: unknown) => void,
  ) {
    this.#query = query
    this.callSite = callSite
    this.#unsent = unsent
    this.#done = done
  }

  /** Whether the server waits for its reader. */
  get isSuspended(): boolean {
    // A cursor says so itself. pg-query-stream has one.
    const { cursor, state } = this.#query as { state?: string; cursor?: { state?: string } }
    return this.suspendedAt > 0 && (state ?? cursor?.state) === 'idle'
  }

  /** The client records under its name and text what the server has prepared, or failed to. */
  get name(): unknown {
    return (this.#query as { name?: unknown }).name
  }

  get text(): string {
    return this.#query.text ?? ''
  }

  /** Code that wraps a client may change the text before it is sent. */
  set text(text: string) {
    this.#query.text = text
  }

  /** The client gives its type parsers to a query through its result. */
  get _result(): unknown {
    return (this.#query as { _result?: unknown })._result
  }

  /** Whether a query is a stream whose reader has left before the end. */
  static isLeft(query: unknown): boolean {
    return (query as Partial<Readable> | undefined)?.readableAborted === true
  }

  submit(connection: PgConnection): Error | null | undefined | void {
    this.#connection = connection
    this.#unsent?.stop()
    if (!this.#unsent?.isClosed) return this.#query.submit(connection)
    // It was closed in pg's own queue. The answer to this ends it.
    connection.sync()
    return null
  }

  /** Ends a suspended query by an error, which its reader gets when it reads on. */
  fail(error: unknown): void {
    const { destroy } = this.#query as Partial<Readable>
    // A stream closes its cursor by itself. An error event that nobody hears would end the process.
    if (typeof destroy === 'function') destroy.call(this.#query)
    // A cursor sends a Sync, as behind an error of the server.
    else if (this.#connection !== undefined) this.handleError(error, this.#connection)
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
    // A query that was given up after a time may fail because of that.
    if (this.#isOver) return
    this.#query.handleError(error, connection)
    this.#end(error)
  }

  handleReadyForQuery(connection: PgConnection): void {
    if (this.#isOver) return
    this.#query.handleReadyForQuery(connection)
    this.#end()
  }

  #end(error?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.callback?.()
    this.#done(error)
  }
}

/** Why a session ends whose stream was left: the server would wait for its reader for ever. */
export function leftStream(): Error {
  return new Error('a stream was left before its end')
}
