import { channel, type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import type { FrameState, Outcome } from '../outcome.ts'
import type { Layer } from '../transaction/frame.ts'

/** The names of the channels on `node:diagnostics_channel`. The first two are tracing channels. */
export const CHANNELS = {
  query: 'shared-connection:query',
  transaction: 'shared-connection:transaction',
  savepoint: 'shared-connection:savepoint',
  acquire: 'shared-connection:acquire',
  release: 'shared-connection:release',
  hook: 'shared-connection:hook',
  notice: 'shared-connection:notice',
} as const

/** One statement that went over the wire, on `shared-connection:query`. One object for all its moments. */
export interface QueryEvent {
  /** The bridge's `name` option. */
  readonly database: string | undefined
  /** Who asked for it. */
  readonly layer: Layer
  readonly sql: string
  /** The values. They may be secrets: print or export them only where the user asks. */
  readonly parameters: readonly unknown[]
  /** The name of a prepared statement. */
  readonly statementName: string | undefined
  /** What it does to the transaction: `begin`, `savepoint`, `release` … ; nothing for other SQL. */
  readonly control: string | undefined
  /** It went in front of another statement, without a round trip of its own. */
  readonly piggybacked: boolean
  /** The id of the transaction; nothing outside one. */
  readonly transaction: number | undefined
  /** 1 in the transaction, 2 in a savepoint, and so on; 0 outside. */
  readonly depth: number
  /** The savepoint that it ran in. */
  readonly savepoint: string | undefined
  /** The layer that holds the transaction. */
  readonly holder: Layer | undefined
  /** The number of the physical connection in this process; set when it leaves. */
  connection: number | undefined
  /** The server's process id of the connection; set when it leaves. */
  processID: number | null | undefined
  /** The order on the wire, over all connections; set when it leaves. */
  seq: number | undefined
  /** Milliseconds from the call until it left. */
  queueWait: number
  /** Milliseconds from leaving until the answer. */
  duration: number
  rowCount: number | null | undefined
  /** The tag that the server answered with: `INSERT`, `COMMIT` … */
  command: string | undefined
  sqlstate: string | undefined
  error: unknown
}

/** One transaction from start to outcome, on `shared-connection:transaction`, also when nothing was sent. */
export interface TransactionEvent {
  readonly database: string | undefined
  readonly transaction: number
  readonly holder: Layer
  readonly connection: number
  outcome: Outcome | undefined
  /** Milliseconds from the opening of the block to the outcome. */
  duration: number
  error: unknown
}

/** A savepoint was opened or has ended, on `shared-connection:savepoint`. */
export interface SavepointEvent {
  readonly database: string | undefined
  readonly transaction: number
  readonly name: string
  readonly depth: number
  readonly layer: Layer
  readonly state: FrameState
}

/** A client was taken from the pool or given back, on `shared-connection:acquire` and `…:release`. */
export interface ConnectionEvent {
  readonly database: string | undefined
  readonly layer: Layer
  readonly connection: number
  readonly processID: number | null | undefined
  /** `…:release` only: it was closed instead of being reused. */
  readonly discarded?: boolean
}

/** Hooks have run, on `shared-connection:hook`. */
export interface HookEvent {
  readonly database: string | undefined
  readonly transaction: number
  readonly outcome: Outcome
  readonly count: number
  readonly errors: readonly unknown[]
}

/** A notice or warning of the server, on `shared-connection:notice`. */
export interface NoticeEvent {
  readonly database: string | undefined
  readonly connection: number
  readonly severity: string | undefined
  readonly code: string | undefined
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

/** Whether anybody listens to what a statement outside any transaction can tell. */
export function isHeard(): boolean {
  return (
    queryChannel.hasSubscribers ||
    acquireChannel.hasSubscribers ||
    releaseChannel.hasSubscribers ||
    noticeChannel.hasSubscribers
  )
}
