import { TurnTimeoutError } from '../errors.ts'
import { linesOf, type CallSite } from '../transaction/call-site.ts'
import { IdleTimeout } from './idle-timeout.ts'
import type { QueueEntry } from './queue-entry.ts'
import type { SendQueue } from './send-queue.ts'

/**
 * Rejects the entries that wait behind a stream or withClient() while nothing happens there: the code
 * that reads the stream, or has the client, may be what awaits them. `keeper` gives that entry.
 */
export function streamTimeout(
  timeout: number,
  queue: SendQueue,
  idleSince: () => number,
  keeper: () => QueueEntry | undefined,
): IdleTimeout<QueueEntry> {
  return new IdleTimeout(timeout, queue.entries, idleSince, (entry) => {
    queue.remove(entry)
    entry.reject(behindKeeper(timeout, entry.asked, keeper()))
  })
}

/** The error for a wait on the connection that `keeper` keeps to itself. */
export function behindKeeper(
  timeout: number,
  asked: CallSite | undefined,
  keeper: QueueEntry | undefined,
): TurnTimeoutError {
  const what = 'for a turn on the connection'
  if (keeper?.statement !== undefined) return behindStream(what, timeout, asked, keeper.callSite)
  return new TurnTimeoutError(
    `waited ${what}, and nothing happened for ${timeout} ms, since withClient() keeps the connection to itself until its end. ` +
      `Does the code in it await what is waiting? The wait was asked for\n${linesOf(asked ?? {})}\n` +
      `and withClient() was called\n${linesOf(keeper?.callSite ?? {})}`,
  )
}

/** The error for a wait for `what` that cannot end before a stream does. */
export function behindStream(
  what: string,
  timeout: number,
  asked: CallSite | undefined,
  stream: CallSite | undefined,
): TurnTimeoutError {
  return new TurnTimeoutError(
    `waited ${what}, and nothing happened for ${timeout} ms, since a stream keeps a connection to itself until its end. ` +
      'Does the code that reads it await what is waiting? ' +
      `A stream of Kysely in a transaction lets others query between two pages. The wait was asked for\n${linesOf(asked ?? {})}\n` +
      `and the stream began\n${linesOf(stream ?? {})}`,
  )
}
