import { ControlStatementError, TransactionOptionError } from '../errors.ts'
import { describe, placeOf } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import type { Statement } from '../wire/statement.ts'

/** The error for a snapshot that was requested in a savepoint. */
export function snapshotInside(frame: Frame): TransactionOptionError {
  return new TransactionOptionError(
    `a snapshot was asked for in ${describe(frame)}, but only a transaction can take one over, at its start. ` +
      `Ask for it where the transaction begins. Nothing was sent. ${placeOf(frame)}`,
  )
}

/** The error for a control command that was passed as a query object. */
export function queryObjectError(statement: Statement): ControlStatementError {
  return new ControlStatementError(
    `${JSON.stringify(statement.text)} was sent as a query object, whose answer the bridge cannot give. ` +
      'Send it as a text. Nothing was sent',
  )
}

/** The error for a control command that would end a frame of another owner. */
export function notOwnedError(statement: Statement, frame: Frame): ControlStatementError {
  if (!frame.scoped) {
    return new ControlStatementError(
      `${JSON.stringify(statement.text)} was sent in ${describe(frame)}, where the bridge could not follow it. ` +
        'Send BEGIN, COMMIT and ROLLBACK as statements of their own, and prepare a transaction on a client that is not shared. ' +
        `Nothing was sent. ${placeOf(frame)}`,
    )
  }
  return new ControlStatementError(
    `${JSON.stringify(statement.text)} was sent inside ${describe(frame)}, which ends with its own block. ` +
      'Return from the block to keep its work, throw to take it back. ' +
      `Nothing was sent. ${placeOf(frame)}`,
  )
}

/** The reason why a block was rolled back that has succeeded: its transaction was rolled back manually. */
export function rolledBackManually(statement: Statement, frame: Frame): ControlStatementError {
  return new ControlStatementError(
    `${JSON.stringify(statement.text)} was sent inside ${describe(frame)}, so nothing of it was kept. ` +
      `Throw in its block to roll it back, or use frame.rollbackOnExit(). ${placeOf(frame)}`,
  )
}
