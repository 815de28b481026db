import { suppress } from '../errors.ts'
import { notSent } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import type { Scope } from '../transaction/scope.ts'
import type { Connection } from './connection.ts'

/** How many milliseconds the server has to end what is cancelled, before its session is ended. */
const PATIENCE = 5_000

/**
 * Rolls a frame back from outside, whatever its code is doing: what waits in it is refused, what
 * runs is cancelled on the wire. Resolves when that is done and the hooks have run. Gives false where
 * it comes too late: then its block tells what became of it. A COMMIT on its way is cancelled too,
 * and its answer decides.
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
  // before ROLLBACK is on its way: that is not to be cancelled
  dispatcher.cancel(frame, reason)
  if (ended) {
    // its block has failed, and waits for what still runs
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
  // its block may have been the first to run them
  await transactions.hooksOf(frame)
  return true
}

/**
 * The same for a block that works in a frame of others: what runs there is cancelled, and the frame
 * can only be rolled back by those who hold it.
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
