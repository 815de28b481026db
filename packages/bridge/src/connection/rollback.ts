import { suppress } from '../suppress.ts'
import { publishSavepoint } from '../instrumentation/traces.ts'
import type { QueryResult } from '../protocol/pg.ts'
import { releaseSql, rollbackToSql } from '../sql/control-sql.ts'
import { notSent } from '../transaction/frame-errors.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import { Statement } from '../wire/statement.ts'
import { finish } from './run-hooks.ts'
import type { Session } from './session.ts'

/**
 * Ends a frame by a rollback: ROLLBACK or ROLLBACK TO, at once, since locks must go. Nothing is sent where
 * the command that opens the frame is still in the queue. Resolves when the server has answered, and
 * never rejects.
 */
export function sendRollback(
  session: Session,
  frame: Frame,
  layer: Layer,
): Promise<void> | undefined {
  const { dispatcher, stack, turns } = session
  const { parent } = frame
  stack.end(frame, 'rolled-back')
  // A manual ROLLBACK stays behind the statements that were sent before it. The end of a block drops
  // the statements that the block has left behind.
  const keepsOrder = !frame.scoped && dispatcher.queue.hasEntriesOf(frame)
  const isUnsent = !keepsOrder && dispatcher.queue.holdsOpening(frame)
  if (!keepsOrder) dispatcher.drop(frame)
  let answer: Promise<QueryResult> | undefined
  if (!isUnsent) {
    const sql = parent === undefined ? 'rollback' : rollbackToSql(frame.sqlName)
    answer = session.command(new Statement(layer, sql, layer === 'pg' ? undefined : []), frame)
    if (parent !== undefined) {
      // Without it, failing blocks in a loop would pile up savepoints in the server.
      dispatcher.queue.defer({ op: 'release', sql: releaseSql(frame.sqlName), frame })
    }
  }
  turns.advance(notSent)
  return answer?.then(ignore, (error: unknown) => rollbackFailed(session, frame, error))
}

/** Finishes a rollback: the client of a transaction is returned, and the end of a savepoint is published. */
export function rolledBack(session: Session, frame: Frame): Promise<void> | undefined {
  if (frame.parent === undefined) return finish(session, frame, 'rolled-back', frame.failure)
  publishSavepoint(session.settings.name, frame, 'rolled-back')
  return undefined
}

/** Rolls back everything since a savepoint, which stays open. Resolves with the answer. */
export async function rollbackToSavepoint(
  session: Session,
  frame: Frame,
  layer: Layer,
): Promise<QueryResult> {
  const { dispatcher, stack, turns } = session
  const inner = stack.frames[frame.depth]
  if (inner !== undefined) {
    stack.endInside(frame, 'rolled-back')
    dispatcher.drop(inner)
  }
  dispatcher.queue.dropReleases(frame)
  const answer = session.command(new Statement(layer, rollbackToSql(frame.sqlName)), frame)
  turns.advance(notSent)
  const result = await answer
  // A frame around it may have ended meanwhile, if nobody awaited this.
  if (frame.ended) return result
  frame.restart()
  publishSavepoint(session.settings.name, frame, 'rolled-back')
  return result
}

/**
 * A transaction whose ROLLBACK failed is rolled back all the same: its connection is closed. A
 * savepoint that could not be rolled back leaves the frame around it aborted.
 */
function rollbackFailed(session: Session, frame: Frame, error: unknown): void {
  if (frame.blockError !== undefined) suppress(frame.blockError.error, error)
  const { parent } = frame
  if (parent === undefined) session.lost ??= error
  else parent.abort(error)
}

function ignore(): void {}
