/** The outcome of a transaction. `unknown`: the connection was lost while COMMIT was in flight. */
export type Outcome = 'committed' | 'rolled-back' | 'unknown'

/**
 * The state of a frame, that is, of a transaction or a savepoint.
 *
 * - `open`: statements can be sent.
 * - `aborted`: a statement has failed, so only a rollback can end the frame.
 * - `ending`: only before-commit hooks and blocks that have joined the frame may still use it.
 * - `committed`: the server has answered COMMIT.
 * - `released`: a savepoint has become a part of the frame around it.
 * - `rolled-back`: its work is undone.
 * - `lost`: the connection was lost before COMMIT, so the server rolls back.
 * - `unknown`: the connection was lost while COMMIT was in flight.
 */
export type FrameState =
  | 'open'
  | 'ending'
  | 'committed'
  | 'released'
  | 'rolled-back'
  | 'aborted'
  | 'lost'
  | 'unknown'

/**
 * Interprets the command tag that answers COMMIT: in an aborted transaction, COMMIT succeeds with the
 * tag ROLLBACK.
 *
 * Source: https://www.postgresql.org/docs/current/sql-commit.html
 */
export function outcomeOfCommit(tag: string): 'committed' | 'rolled-back' {
  return tag === 'COMMIT' ? 'committed' : 'rolled-back'
}
