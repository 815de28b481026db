import { TransactionDriftError } from '../errors.ts'
import { describe, placeOf } from '../transaction/frame-errors.ts'
import type { PgClient } from '../protocol/pg.ts'
import type { TransactionStack } from '../transaction/stack.ts'
import type { SendQueue } from '../wire/send-queue.ts'
import type { Statement } from '../wire/statement.ts'

/**
 * Compares the server's status byte with the stack, after a statement that succeeded. Returns the error
 * where somebody has moved the transaction behind the bridge: the statement, or the code of withClient() if
 * there is none.
 */
export function findDrift(
  client: PgClient,
  stack: TransactionStack,
  queue: SendQueue,
  statement: Statement | undefined,
): TransactionDriftError | undefined {
  // Another statement of this pipeline has failed and ReadyForQuery has not arrived: the status byte is stale.
  if (client.readyForQuery === false) return undefined
  const status = client.getTransactionStatus()
  const { root } = stack
  if (root === undefined)
    return status === 'T' || status === 'E' ? unownedError(status, statement) : undefined
  if (status === 'E') {
    // The error is known where another statement of this pipeline has failed.
    if (stack.frames.some(({ failure }) => failure !== undefined)) return undefined
    // Only withClient() lets code swallow an error that the bridge has not seen.
    stack.top?.abort(
      new TransactionDriftError(
        'a statement of withClient() has failed, and its error was caught there, but the transaction is aborted',
      ),
    )
    return undefined
  }
  const isMoved = status === 'I' && root.phase === 'open' && !queue.holdsOpening(root)
  if (!isMoved) return undefined
  return new TransactionDriftError(
    `${describe(root)} is gone: the server says that no transaction is open (status I). ` +
      (statement === undefined
        ? 'The code of withClient() has ended it, so how it ended is not known. Let the block end it: return to keep its work, throw to take it back. '
        : 'A statement has ended it behind the bridge, so how it ended is not known: a COMMIT or ROLLBACK in a procedure, or among several commands in one text. ') +
      placeOf(root),
  )
}

function unownedError(status: string, statement: Statement | undefined): TransactionDriftError {
  return new TransactionDriftError(
    `${statement === undefined ? 'the code of withClient()' : 'the statement'} has opened a transaction that nobody holds (status ${status}). ` +
      'Open it with transaction() of a layer, or with BEGIN as a statement of its own on a client from pool.connect(). ' +
      'The connection will be closed, so nothing of it is kept.',
  )
}
