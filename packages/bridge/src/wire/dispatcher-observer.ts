import type { QueryResult } from '../protocol/pg.ts'
import type { Frame } from '../transaction/frame.ts'
import type { SenderObserver } from './pipeline-sender.ts'
import type { Statement } from './statement.ts'

/** Learns what happens on the wire of one connection. */
export interface DispatcherObserver extends SenderObserver {
  /** What is being answered must be cancelled. Resolves when no later statement can be hit. */
  onCancel(reason: unknown): Promise<void>
  /** An entry is complete. Returns its error, or one if the server's transaction is not as expected. */
  onCompleted(
    frame: Frame | undefined,
    statement: Statement | undefined,
    error: unknown,
    result: QueryResult | undefined,
  ): unknown
}
