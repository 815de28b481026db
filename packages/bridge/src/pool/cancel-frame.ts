import { suppress } from '../errors.ts'
import type { Frame } from '../transaction/frame.ts'
import type { Connection } from './connection.ts'

/** How many milliseconds the server has to end what is cancelled, before its session is ended. */
const PATIENCE = 5_000

/**
 * Rolls a frame back from outside, whatever its code is doing: what waits in it is refused, what
 * runs is cancelled on the wire. Gives false where it comes too late: a COMMIT on its way is cancelled
 * too, but its answer tells what became of it.
 */
export async function cancelFrame(
  connection: Connection,
  frame: Frame,
  reason: unknown,
): Promise<boolean> {
  // kept already; of any other end its block may not know yet
  if (frame.state === 'committed' || frame.state === 'released') return false
  const { transactions, wire } = connection
  const timer = setTimeout(() => connection.end(unanswered(reason)), PATIENCE)
  try {
    // before ROLLBACK is on its way: that is not to be cancelled
    wire.cancel(frame, reason)
    if (frame.isCommitting) {
      await wire.quiet()
      return false
    }
    frame.failure ??= reason
    frame.thrown ??= { error: reason }
    await transactions.undo(frame, frame.layer)
  } catch (error) {
    suppress(reason, error)
  } finally {
    clearTimeout(timer)
  }
  return true
}

/**
 * The same for a block that works in a frame of others: what runs there is cancelled, and the frame
 * can only be rolled back by those who hold it.
 */
export function cancelJoined(connection: Connection, frame: Frame, reason: unknown): void {
  frame.doomed ??= { cause: reason }
  connection.wire.cancel(frame, reason)
}

function unanswered(reason: unknown): Error {
  return new Error(`the server has not ended what was cancelled within ${PATIENCE} ms`, {
    cause: reason,
  })
}
