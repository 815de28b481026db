/** How a transaction ended. `unknown`: the connection was lost while COMMIT was on its way. */
export type Outcome = 'committed' | 'rolled-back' | 'unknown'

/** The state of a frame. Only `open`, `ending` and `aborted` frames are on the stack. */
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
 * The meaning of the answer to COMMIT: in an aborted transaction COMMIT succeeds, with the tag ROLLBACK.
 *
 * Source: https://www.postgresql.org/docs/current/sql-commit.html
 */
export function outcomeOfCommit(tag: string): 'committed' | 'rolled-back' {
  return tag === 'COMMIT' ? 'committed' : 'rolled-back'
}
