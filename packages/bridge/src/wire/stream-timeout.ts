import { TurnTimeoutError } from '../errors.ts'
import { linesOf, type CallSite } from '../transaction/call-site.ts'
import { IdleTimeout } from './idle-timeout.ts'
import type { QueueEntry } from './queue-entry.ts'
import type { SendQueue } from './send-queue.ts'

/**
 * Rejects the entries that wait behind a stream while nothing happens on it: the code that reads
 * the stream may be what awaits them. `stream` gives the call site of the stream.
 */
export function streamTimeout(
  timeout: number,
  queue: SendQueue,
  idleSince: () => number,
  stream: () => CallSite | undefined,
): IdleTimeout<QueueEntry> {
  return new IdleTimeout(timeout, queue.entries, idleSince, (entry) => {
    queue.remove(entry)
    entry.reject(behindStream('for a turn on the connection', timeout, entry.asked, stream()))
  })
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
