import { suppress } from '../suppress.ts'
import { notSent } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import type { Scope } from '../transaction/scope.ts'
import type { Connection } from './connection.ts'

/** The milliseconds that the server has to end a cancelled statement, before its session is ended. */
const PATIENCE = 5_000

/**
 * Rolls a frame back from outside, whatever its code is doing: queued statements are refused, and the
 * running one is cancelled on the server. Resolves when that is done and the hooks have run. Resolves
 * with false if it is too late, and then the block itself reports the outcome. A COMMIT in flight is
 * cancelled too, and its answer decides.
 */
export async function cancelFrame(
  connection: Connection,
  frame: Frame,
  reason: unknown,
): Promise<boolean> {
  const { transactions, dispatcher } = connection
  const { ended } = frame
  if (ended && !dispatcher.concerns(frame)) return false
  const timer = setTimeout(() => {
    if (dispatcher.concerns(frame)) connection.end(unanswered(reason))
  }, PATIENCE)
  // Before ROLLBACK is sent, which must not be cancelled.
  dispatcher.cancel(frame, reason)
  if (ended) {
    // Its block has failed, and waits for a statement that still runs.
    timer.unref()
    return false
  }
  try {
    if (frame.phase === 'committing') {
      await dispatcher.whenIdle()
      return false
    }
    frame.failure ??= reason
    frame.blockError ??= { error: reason }
    await transactions.rollback(frame, frame.layer)
  } catch (error) {
    suppress(reason, error)
  } finally {
    clearTimeout(timer)
  }
  // The block may have started the hooks already.
  await transactions.hooksOf(frame)
  return true
}

/**
 * Does the same for a block that has joined a frame: its statement is cancelled, and the frame is marked
 * as rollback-only, because only its owner can roll it back.
 */
export function cancelJoined(
  connection: Connection,
  frame: Frame,
  scope: Scope | undefined,
  reason: unknown,
): void {
  if (frame.ended) return
  frame.markRollbackOnly(reason)
  if (scope !== undefined) {
    frame.evict(scope)
  }
  connection.dispatcher.cancel(frame, reason)
  connection.turns.advance(notSent)
}

function unanswered(reason: unknown): Error {
  return new Error(`the server has not ended what was cancelled within ${PATIENCE} ms`, {
    cause: reason,
  })
}
