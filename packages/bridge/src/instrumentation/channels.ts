import { channel, type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import type { FrameState, Outcome } from '../outcome.ts'
import type { Layer } from '../transaction/frame.ts'

/**
 * The names of the channels on `node:diagnostics_channel`. `query` and `transaction` are tracing channels.
 *
 * ```ts
 * tracingChannel(CHANNELS.query).subscribe({ asyncEnd: (event) => record(event as QueryEvent) })
 * ```
 */
export const CHANNELS = {
  /** A tracing channel of {@link QueryEvent}. */
  query: 'shared-connection:query',
  /** A tracing channel of {@link TransactionEvent}. */
  transaction: 'shared-connection:transaction',
  /** A channel of {@link SavepointEvent}. */
  savepoint: 'shared-connection:savepoint',
  /** A channel of {@link ConnectionEvent}. */
  acquire: 'shared-connection:acquire',
  /** A channel of {@link ConnectionEvent}. */
  release: 'shared-connection:release',
  /** A channel of {@link HookEvent}. */
  hook: 'shared-connection:hook',
  /** A channel of {@link NoticeEvent}. */
  notice: 'shared-connection:notice',
} as const

/**
 * A statement, on the tracing channel `shared-connection:query`. All moments of a statement publish the
 * same object, and `asyncEnd` is the one in which all its fields are set.
 */
export interface QueryEvent {
  /** The option `name` of the bridge. */
  readonly database: string | undefined
  /** The layer that issued the statement. */
  readonly layer: Layer
  /** The text of the statement. */
  readonly sql: string
  /** The values of the parameters. They may be secrets, so print or export them only on purpose. */
  readonly parameters: readonly unknown[]
  /** The name of the prepared statement, if it has one. */
  readonly statementName: string | undefined
  /** The kind of a control command: `begin`, `savepoint`, `release` …; `undefined` for other SQL. */
  readonly control: string | undefined
  /** True for a control command that was sent together with the next statement, without a round trip. */
  readonly piggybacked: boolean
  /** The id of the transaction; `undefined` outside one. */
  readonly transaction: number | undefined
  /** 1 in the transaction, 2 in a savepoint, and so on; 0 outside. */
  readonly depth: number
  /** The name of the savepoint that it belongs to; `undefined` outside a savepoint. */
  readonly savepoint: string | undefined
  /** The layer that opened the transaction; `undefined` outside one. */
  readonly holder: Layer | undefined
  /** The number of the physical connection in this process. Set when the statement is sent. */
  connection: number | undefined
  /** The process id of the server for this connection. Set when the statement is sent. */
  processID: number | null | undefined
  /** The position in the order of sending, over all connections. Set when the statement is sent. */
  seq: number | undefined
  /** Milliseconds from the call until the statement was sent. */
  queueWait: number
  /** Milliseconds from sending to the answer. */
  duration: number
  /** The number of affected or returned rows, from the answer. */
  rowCount: number | null | undefined
  /** The command tag of the answer: `INSERT`, `COMMIT` … */
  command: string | undefined
  /** The SQLSTATE of the error, if the server sent one. */
  sqlstate: string | undefined
  /** The error that the statement failed with. */
  error: unknown
}

/**
 * A transaction from its start to its outcome, on the tracing channel `shared-connection:transaction`. It
 * is also published if the transaction has sent nothing.
 */
export interface TransactionEvent {
  /** The option `name` of the bridge. */
  readonly database: string | undefined
  /** The id of the transaction. */
  readonly transaction: number
  /** The layer that opened the transaction. */
  readonly holder: Layer
  /** The number of the physical connection in this process. */
  readonly connection: number
  /** The outcome. Set when the transaction has ended. */
  outcome: Outcome | undefined
  /** Milliseconds from the opening of the transaction to its outcome. */
  duration: number
  /** The error that the transaction ended with, if any. */
  error: unknown
}

/** A savepoint was opened or has ended, on `shared-connection:savepoint`. */
export interface SavepointEvent {
  /** The option `name` of the bridge. */
  readonly database: string | undefined
  /** The id of the transaction. */
  readonly transaction: number
  /** The name of the savepoint. */
  readonly name: string
  /** 2 for a savepoint in the transaction, 3 for one in that, and so on. */
  readonly depth: number
  /** The layer that opened the savepoint. */
  readonly layer: Layer
  /** `open`, or the state in which it has ended. */
  readonly state: FrameState
}

/** A client was acquired from the pool or released, on `shared-connection:acquire` and `…:release`. */
export interface ConnectionEvent {
  /** The option `name` of the bridge. */
  readonly database: string | undefined
  /** The layer that acquired the client. */
  readonly layer: Layer
  /** The number of the physical connection in this process. */
  readonly connection: number
  /** The process id of the server for this connection. */
  readonly processID: number | null | undefined
  /** On `…:release` only: true if the client was closed instead of being reused. */
  readonly discarded?: boolean
}

/** Hooks of a frame have run, on `shared-connection:hook`. */
export interface HookEvent {
  /** The option `name` of the bridge. */
  readonly database: string | undefined
  /** The id of the transaction. */
  readonly transaction: number
  /** The outcome that the hooks ran for. */
  readonly outcome: Outcome
  /** The number of hooks that have run. */
  readonly count: number
  /** The values that hooks have thrown, in order. */
  readonly errors: readonly unknown[]
}

/** The server sent a notice or a warning, on `shared-connection:notice`. */
export interface NoticeEvent {
  /** The option `name` of the bridge. */
  readonly database: string | undefined
  /** The number of the physical connection in this process. */
  readonly connection: number
  /** The severity: `NOTICE`, `WARNING` … */
  readonly severity: string | undefined
  /** The SQLSTATE. */
  readonly code: string | undefined
  /** The text of the notice. */
  readonly message: string
}

export const queryChannel = tracing<QueryEvent>(CHANNELS.query)
export const transactionChannel = tracing<TransactionEvent>(CHANNELS.transaction)
export const savepointChannel = channel(CHANNELS.savepoint)
export const acquireChannel = channel(CHANNELS.acquire)
export const releaseChannel = channel(CHANNELS.release)
export const hookChannel = channel(CHANNELS.hook)
export const noticeChannel = channel(CHANNELS.notice)

/** A tracing channel that knows whether anybody listens. Bun's does not. */
function tracing<Event extends object>(name: string): TracingChannel<object, Event> {
  const made = tracingChannel<object, Event>(name)
  if ('hasSubscribers' in made) return made
  const { start, end, asyncStart, asyncEnd, error } = made as TracingChannel<object, Event>
  const moments = [start, end, asyncStart, asyncEnd, error]
  return Object.defineProperty(made, 'hasSubscribers', {
    get: () => moments.some(({ hasSubscribers }) => hasSubscribers),
  })
}

/** Whether a channel that a statement outside transactions may publish to has subscribers. */
export function isHeard(): boolean {
  return (
    queryChannel.hasSubscribers ||
    acquireChannel.hasSubscribers ||
    releaseChannel.hasSubscribers ||
    noticeChannel.hasSubscribers
  )
}
