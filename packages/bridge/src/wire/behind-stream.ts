import { TurnTimeoutError } from '../errors.ts'
import { linesOf, type CallSite } from '../transaction/call-site.ts'

/** The error for a wait that a stream keeps from ending: `what` is waited for. */
export function behindStream(
  what: string,
  timeout: number,
  asked: CallSite | undefined,
  stream: CallSite | undefined,
): TurnTimeoutError {
  return new TurnTimeoutError(
    `waited ${what}, and nothing happened for ${timeout} ms, since a stream keeps a connection to itself until its end. ` +
      'Does the code that reads it, or feeds it, await what is waiting? ' +
      `A stream of Kysely in a transaction lets others query between two pages. The wait was asked for\n${linesOf(asked ?? {})}\n` +
      `and the stream began\n${linesOf(stream ?? {})}`,
  )
}
