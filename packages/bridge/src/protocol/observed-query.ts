import type { Readable, Writable } from 'node:stream'
import type { CallSite } from '../transaction/call-site.ts'
import type { PgConnection, Submittable } from './pg.ts'

/**
 * Carries a query that speaks the protocol itself (a cursor, a COPY stream) and tells when it is
 * done: those have no promise, and the connection is theirs until then.
 */
export class ObservedQuery implements Submittable {
  readonly #query: Submittable
  readonly #done: (error?: unknown) => void
  /** Where the user's call is. */
  readonly callSite: CallSite | undefined
  /** When its last page had come, as `performance.now()` tells it. */
  suspendedAt = 0
  #takesData = false
  #socket: PgConnection['stream'] | undefined
  #sent = 0
  #isOver = false
  /** Written by clients with a `query_timeout`: it stops their clock. */
  callback: (() => void) | undefined
  /** Written by clients that answer in binary. */
  binary: unknown

  constructor(query: Submittable, callSite: CallSite | undefined, done: (error?: unknown) => void) {
    this.#query = query
    this.callSite = callSite
    this.#done = done
  }

  /** Whether the server waits for whoever reads it, or feeds it. */
  get isSuspended(): boolean {
    if (this.#takesData) return this.#isStarving
    // what pg-cursor says of itself
    const { cursor, state } = this.#query as { state?: string; cursor?: { state?: string } }
    return this.suspendedAt > 0 && (state ?? cursor?.state) === 'idle'
  }

  /** Whether a COPY FROM has nothing to send. When it last had, shows in the bytes of its socket. */
  get #isStarving(): boolean {
    const { writableEnded, writableLength } = this.#query as Partial<Writable>
    const sent = this.#socket?.bytesWritten ?? 0
    if (sent !== this.#sent) this.suspendedAt = performance.now()
    this.#sent = sent
    return !writableEnded && writableLength === 0
  }

  /** The client books on its name and text what the server has prepared, or failed to. */
  get name(): unknown {
    return (this.#query as { name?: unknown }).name
  }

  get text(): string {
    return this.#query.text ?? ''
  }

  /** Somebody who wraps a client may write into what that is to send. */
  set text(text: string) {
    this.#query.text = text
  }

  /** The client hands its type parsers to a query through its result. */
  get _result(): unknown {
    return (this.#query as { _result?: unknown })._result
  }

  /** Whether it is a stream that was left before its end. */
  static isLeft(query: unknown): boolean {
    return (query as Partial<Readable> | undefined)?.readableAborted === true
  }

  submit(connection: PgConnection): Error | null | undefined | void {
    this.#socket = connection.stream
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
    this.#takesData = true
    this.suspendedAt = performance.now()
    this.#query.handleCopyInResponse(connection)
  }

  handleCopyData(message: unknown, connection: PgConnection): void {
    this.#query.handleCopyData(message, connection)
  }

  handleError(error: unknown, connection: PgConnection): void {
    // what was given up after a time may fail for that
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

/** Why a session ends whose stream nobody reads on: the server would wait for ever. */
export function leftStream(): Error {
  return new Error('a stream was left before its end')
}
