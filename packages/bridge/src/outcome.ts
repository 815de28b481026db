/** How a transaction ended. `unknown`: the connection was lost while COMMIT was on its way. */
export type Outcome = 'committed' | 'rolled-back' | 'unknown'

/**
 * What the answer to COMMIT means. In an aborted transaction COMMIT succeeds, with the tag ROLLBACK.
 *
 * Source: https://www.postgresql.org/docs/current/sql-commit.html
 */
export function outcomeOfCommit(tag: string): 'committed' | 'rolled-back' {
  return tag === 'COMMIT' ? 'committed' : 'rolled-back'
}
