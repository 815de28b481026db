import { StatementSkippedError, TurnTimeoutError } from '../errors.ts'
import { type Outcome, outcomeOfCommit } from '../outcome.ts'
import { isFatal, isServerError } from '../protocol/pg.ts'
import { abortedError, outcomeUnknownError } from '../transaction/frame-errors.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import { Scope } from '../transaction/scope.ts'
import { Statement } from '../wire/statement.ts'
import type { Session } from './session.ts'

/** How a COMMIT went. */
export interface CommitResult {
  /** `skipped`: a statement of its batch has failed, or it was not sent in time. The transaction is still open. */
  readonly outcome: Outcome | 'skipped'
  /** The error that the caller gets, if it did not succeed. */
  readonly failure?: unknown
}

/** Runs the before-commit hooks of a frame in it, also those that they register. */
export async function runBeforeCommit(session: Session, frame: Frame): Promise<void> {
  const scope = new Scope(frame.around, session.scopeKey, 'block', undefined, frame)
  frame.beforeCommitScope = scope
  let hooks = frame.hooks.take('before-commit')
  while (hooks.length > 0) {
    for (const hook of hooks) await hook.run(scope, 'committed')
    hooks = frame.hooks.take('before-commit')
  }
  // It may have been rolled back from outside meanwhile.
  if (frame.ended) return
  // Blocks that the hooks opened and did not await belong to the transaction, too.
  await session.turns.runEnd(frame, () => Promise.resolve())
  frame.beforeCommitScope = undefined
}

/**
 * Sends COMMIT and finds out from its tag what the server did. Sends nothing where nothing was sent in
 * the transaction. This is the place where a lost COMMIT becomes an unknown outcome.
 */
export async function sendCommit(
  session: Session,
  frame: Frame,
  layer: Layer,
): Promise<CommitResult> {
  const { queue } = session.dispatcher
  if (queue.forget(frame)) return { outcome: 'committed' }
  queue.dropReleases(frame)
  const failureBefore = frame.failure
  // The layers give an empty list of values, which a wrapper of query() may look at.
  const commit = new Statement(layer, 'commit', layer === 'pg' ? undefined : [])
  commit.endsBatch = queue.isCollecting
  let sent = false
  let answer: string | undefined
  try {
    answer = (await session.command(commit, frame, () => (sent = true))).command
  } catch (error) {
    if (error instanceof StatementSkippedError) return { outcome: 'skipped', failure: error.cause }
    if (error instanceof TurnTimeoutError && !sent) return { outcome: 'skipped', failure: error }
    // The tag may have come though the connection broke behind it: that is an answer.
    if (commit.tag === undefined) return resultOfFailure(frame, error, failureBefore, sent)
  }
  // A wrapper of the client may have sent a copy, and given back what the server answered to that.
  const outcome = outcomeOfCommit(commit.tag ?? answer ?? '')
  return outcome === 'committed' ? { outcome } : { outcome, failure: abortedError(frame) }
}

/** The result of a COMMIT that was answered by an error, or not at all. */
function resultOfFailure(
  frame: Frame,
  error: unknown,
  failureBefore: unknown,
  sent: boolean,
): CommitResult {
  // A transaction in which a statement had failed cannot have committed.
  if (failureBefore !== undefined) return { outcome: 'rolled-back', failure: abortedError(frame) }
  // COMMIT was still queued when the session ended: the error is about the session, not about COMMIT.
  if (!sent && frame.ended) {
    frame.failure ??= error
    return { outcome: 'rolled-back', failure: abortedError(frame) }
  }
  frame.failure = error
  // An answer of the server is certain, unless it came with the end of the session.
  if (sent && (!isServerError(error) || isFatal(error))) {
    return { outcome: 'unknown', failure: outcomeUnknownError(frame, error) }
  }
  return { outcome: 'rolled-back', failure: error }
}
