import {
  describe,
  RollbackOnlyError,
  StatementSkippedError,
  TransactionAbortedError,
  TransactionOutcomeUnknownError,
} from '../errors.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import { type Outcome, outcomeOfCommit } from '../outcome.ts'
import { Scope } from '../transaction/scope.ts'
import type { Connection } from './session.ts'
import { isFatal, isServerError } from '../protocol/pg.ts'
import { Statement } from '../wire/statement.ts'

/** How a COMMIT went. */
export interface CommitResult {
  /** `skipped`: a statement of its batch has failed, and the transaction is still open. */
  readonly outcome: Outcome | 'skipped'
  /** What the caller gets instead of a success. */
  readonly failure?: unknown
}

/** Runs the before-commit hooks of a frame in it, also those that they register. */
export async function runBeforeCommit(
  frame: Frame,
  connection: Connection,
  database: object,
): Promise<void> {
  const scope = new Scope(frame.around, database, 'block', undefined, frame)
  frame.beforeCommitScope = scope
  let hooks = frame.hooks.take('before-commit')
  while (hooks.length > 0) {
    for (const hook of hooks) await hook.run(scope, 'committed')
    hooks = frame.hooks.take('before-commit')
  }
  // rolled back meanwhile, from outside
  if (frame.ended) return
  // what they opened and did not await belongs to the transaction too
  await connection.turns.runEnd(frame, () => Promise.resolve())
  frame.beforeCommitScope = undefined
}

/** Sends COMMIT and finds out what it did; sends nothing where nothing was sent before. */
export async function sendCommit(
  connection: Connection,
  frame: Frame,
  layer: Layer,
): Promise<CommitResult> {
  if (connection.dispatcher.queue.forget(frame)) return { outcome: 'committed' }
  connection.dispatcher.queue.dropReleases(frame)
  const doubt = frame.failure
  const commit = new Statement(layer, 'commit')
  commit.endsBatch = connection.dispatcher.queue.isCollecting
  let sent = false
  let answer: string | undefined
  try {
    answer = (await connection.command(commit, frame, () => (sent = true))).command
  } catch (error) {
    // The tag may have come though the connection broke behind it: that is an answer.
    if (error instanceof StatementSkippedError) return { outcome: 'skipped', failure: error.cause }
    if (commit.tag === undefined) return failed(frame, error, doubt, sent)
  }
  // somebody who wraps the client may have sent a copy, and given back what the server answered to that
  const outcome = outcomeOfCommit(commit.tag ?? answer ?? '')
  return outcome === 'committed' ? { outcome } : { outcome, failure: aborted(frame) }
}

/** What a COMMIT that got no answer, or an error for one, has done. */
function failed(frame: Frame, error: unknown, doubt: unknown, sent: boolean): CommitResult {
  // a transaction in which a statement had failed can not have committed
  if (doubt !== undefined) return { outcome: 'rolled-back', failure: aborted(frame) }
  // it waited while the session ended: what has ended that is not about COMMIT
  if (!sent && frame.ended) {
    frame.failure ??= error
    return { outcome: 'rolled-back', failure: aborted(frame) }
  }
  frame.failure = error
  // An answer of the server is certain, unless it came with the end of the session.
  if (sent && (!isServerError(error) || isFatal(error))) {
    return { outcome: 'unknown', failure: unknown(frame, error) }
  }
  return { outcome: 'rolled-back', failure: error }
}

/** The error for a COMMIT of which nobody knows what it did. */
export function unknown(frame: Frame, cause: unknown): TransactionOutcomeUnknownError {
  return new TransactionOutcomeUnknownError(
    `${describe(frame)} has an unknown outcome: the connection was lost before COMMIT was answered. Look in the database before you do it again`,
    { cause },
  )
}

/** The error for a frame that a block had joined, and doomed. */
export function doomedError(frame: Frame, cause: unknown): RollbackOnlyError {
  return new RollbackOnlyError(
    `${describe(frame)} was rolled back: a block that joined it had failed`,
    { cause },
  )
}

/** The error for a frame that was to be kept, and was rolled back. */
export function aborted(frame: Frame): TransactionAbortedError {
  const error = new TransactionAbortedError(
    `${describe(frame)} was rolled back instead of ${frame.parent === undefined ? 'committed' : 'kept'}`,
    frame,
  )
  error.brand()
  return error
}

/** In an aborted frame the server would refuse whatever does not roll back: so does the bridge. */
export function assertNotAborted(frame: Frame): void {
  if (frame.failure === undefined) return
  throw new TransactionAbortedError(
    `${describe(frame)} is aborted: a statement in it has failed, and only a rollback can end it`,
    frame,
  )
}
