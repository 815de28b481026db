import { describe, TransactionAbortedError, TransactionOutcomeUnknownError } from '../errors.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import { type Outcome, outcomeOfCommit } from '../transaction/outcome.ts'
import type { Connection } from './connection.ts'
import { isFatal, isServerError } from './pg.ts'
import { Statement } from './statement.ts'

/** How a COMMIT went. */
export interface Verdict {
  readonly outcome: Outcome
  /** What the caller gets instead of a success. */
  readonly failure?: unknown
}

/** Sends COMMIT and finds out what it did; sends nothing where nothing was sent before. */
export async function sendCommit(
  connection: Connection,
  frame: Frame,
  layer: Layer,
): Promise<Verdict> {
  if (connection.wire.forget(frame)) return { outcome: 'committed' }
  connection.wire.dropReleases(frame)
  let sent = false
  try {
    const commit = new Statement(layer, 'commit')
    const { command } = await connection.command(commit, frame, () => (sent = true))
    const outcome = outcomeOfCommit(command)
    return outcome === 'committed' ? { outcome } : { outcome, failure: aborted(frame) }
  } catch (error) {
    frame.failure ??= error
    // An answer of the server is certain, unless it came with the end of the session.
    if (sent && (!isServerError(error) || isFatal(error))) {
      return { outcome: 'unknown', failure: unknown(frame, error) }
    }
    return { outcome: 'rolled-back', failure: error }
  }
}

/** The error for a COMMIT of which nobody knows what it did. */
export function unknown(frame: Frame, cause: unknown): TransactionOutcomeUnknownError {
  return new TransactionOutcomeUnknownError(
    `${describe(frame)} has an unknown outcome: the connection was lost before COMMIT was answered. Look in the database before you do it again`,
    { cause },
  )
}

/** The error for a frame that was to be kept, and was rolled back. */
export function aborted(frame: Frame): TransactionAbortedError {
  return new TransactionAbortedError(
    `${describe(frame)} was rolled back instead of ${frame.parent === undefined ? 'committed' : 'kept'}`,
    frame,
  )
}
