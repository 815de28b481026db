import {
  RollbackOnlyError,
  TransactionAbortedError,
  TransactionClosedError,
  TransactionOutcomeUnknownError,
  TransactionTimeoutError,
} from '../errors.ts'
import type { FrameState } from '../outcome.ts'
import { type CallSite, linesOf } from './call-site.ts'
import type { Frame } from './frame.ts'

/** Describes a frame in a message: `the transaction (drizzle)`, `savepoint sp1 (kysely)`. */
export function describe(frame: Frame): string {
  const where = frame.database === undefined ? '' : ` on ${frame.database}`
  return frame.name === undefined
    ? `the transaction (${frame.layer})${where}`
    : `savepoint ${frame.name} (${frame.layer})${where}`
}

/** The error for work in a frame that is ending or has ended. `what` is the work that was refused. */
export function closedError(frame: Frame, what: string): TransactionClosedError {
  return new TransactionClosedError(
    `${what}: ${describe(frame)} ${STATES[frame.state]}. To work outside it on purpose, use shared.outside().\n` +
      `It began\n${linesOf(frame.callSite)}`,
    frame.state,
    causeOf(frame),
  )
}

/** Where a frame began, and where something in it was asked for, as the end of a message. */
export function placeOf(frame: Frame, asked?: CallSite): string {
  const place = linesOf(frame.callSite)
  return asked === undefined
    ? `The ${frame.kind} began\n${place}`
    : `It was asked for\n${linesOf(asked)}\nand the ${frame.kind} began\n${place}`
}

/** The error for a statement whose frame ended before the statement could be sent. */
export function notSent(frame: Frame): TransactionClosedError {
  return closedError(frame, 'the statement was not sent')
}

/** The error for a COMMIT or RELEASE that ended in a rollback. */
export function abortedError(frame: Frame): TransactionAbortedError {
  const error = new TransactionAbortedError(
    `${describe(frame)} was rolled back instead of ${frame.parent === undefined ? 'committed' : 'released'}. ` +
      'The cause is the reason. If that is an error of a statement which the block has caught: ' +
      `let it leave the block, or catch it around a nested block. ${placeOf(frame)}`,
    causeOf(frame),
  )
  error.brand()
  return error
}

/**
 * Throws if the frame is aborted: PostgreSQL accepts nothing but a rollback there. `asked` is the place of
 * the call that needs it.
 */
export function assertNotAborted(frame: Frame, asked?: CallSite): void {
  if (frame.failure === undefined) return
  throw new TransactionAbortedError(
    `${describe(frame)} is aborted: a statement in it has failed (the cause), and only a rollback can end it. ` +
      `Let that error leave the block, or catch it around a nested block. ${placeOf(frame, asked)}`,
    causeOf(frame),
  )
}

/** The error for a COMMIT whose answer was lost. */
export function outcomeUnknownError(frame: Frame, cause: unknown): TransactionOutcomeUnknownError {
  return new TransactionOutcomeUnknownError(
    `${describe(frame)} has an unknown outcome: the connection was lost before COMMIT was answered. Check the database before you repeat it. ` +
      placeOf(frame),
    { cause },
  )
}

/** The error for a frame that was rolled back because a block that joined it had failed. */
export function rollbackOnlyError(frame: Frame, cause: unknown): RollbackOnlyError {
  return new RollbackOnlyError(
    `${describe(frame)} was rolled back: a block that joined it had failed (the cause). ` +
      'Let the error of such a block leave this one, or use propagation "nested", which gives it a savepoint. ' +
      placeOf(frame),
    { cause },
  )
}

/** The error for a block that exceeded its `timeout` (in milliseconds). */
export function timeoutError(timeout: number, callSite: CallSite = {}): TransactionTimeoutError {
  return new TransactionTimeoutError(
    `the block exceeded its timeout of ${timeout} ms and was ended. ` +
      'Its running statement was cancelled on the server; its code may still run, but cannot send anything. ' +
      `It began\n${linesOf(callSite)}`,
  )
}

function causeOf({ failure }: Frame): ErrorOptions | undefined {
  return failure === undefined ? undefined : { cause: failure }
}

const STATES: { readonly [S in FrameState]: string } = {
  open: 'is open',
  ending: 'is ending',
  committed: 'has committed',
  released: 'was released',
  'rolled-back': 'was rolled back',
  aborted: 'is aborted',
  lost: 'was lost with its connection',
  unknown: 'has an unknown outcome',
}
