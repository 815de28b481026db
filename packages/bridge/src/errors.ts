import type { FrameState, Outcome } from './outcome.ts'

const BRAND = Symbol.for('shared-connection.error')

/** The brand by which Kysely knows an aborted transaction, whichever copy of Kysely asks. */
const KYSELY_ABORTED = Symbol.for('kysely.AbortedTransactionError')

/**
 * Base of every error that the bridge raises itself. Errors of PostgreSQL pass through as they are.
 *
 * `name` is the stable word to switch on.
 */
export abstract class SharedConnectionError extends Error {
  abstract override readonly name: string
  /** What failed while cleaning up after this error: it travels beside it, never in front. */
  readonly suppressed: unknown[] = []

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    Object.defineProperty(this, BRAND, { value: true })
    Object.defineProperty(this, 'suppressed', { enumerable: false })
  }
}

/** Tells an error of the bridge from any other, even across two installed copies of the package. */
export function isSharedConnectionError(error: unknown): error is SharedConnectionError {
  return error instanceof Error && BRAND in error
}

/** A call with something that it cannot work with. The message says what was given and what to do. */
export class InvalidArgumentError extends SharedConnectionError {
  override readonly name = 'InvalidArgumentError'
}

/** `db.extension(…)` without `drizzle`, while not exactly one Drizzle database is adopted. */
export class AmbiguousDatabaseError extends SharedConnectionError {
  override readonly name = 'AmbiguousDatabaseError'
}

/** The same pool was adopted before, with other options. */
export class OptionsConflictError extends SharedConnectionError {
  override readonly name = 'OptionsConflictError'
}

/** The Kysely database takes its connections from another pool than Drizzle does. */
export class DifferentPoolError extends SharedConnectionError {
  override readonly name = 'DifferentPoolError'
}

/** `dispose()` while a transaction is open, or a call on a bridge that was disposed of. */
export class DisposeError extends SharedConnectionError {
  override readonly name = 'DisposeError'
}

/** A transaction option that cannot be honoured where it was asked for. No SQL was sent. */
export class TransactionOptionError extends SharedConnectionError {
  override readonly name = 'TransactionOptionError'
}

/** A propagation that the place does not allow: `mandatory` outside, `never` inside. */
export class PropagationError extends SharedConnectionError {
  override readonly name = 'PropagationError'
}

/** A BEGIN, COMMIT or savepoint command by hand, where another owns the transaction. No SQL was sent. */
export class ControlStatementError extends SharedConnectionError {
  override readonly name = 'ControlStatementError'
}

/** A client or handle that was given back is used again. No SQL was sent. */
export class ClientReleasedError extends SharedConnectionError {
  override readonly name = 'ClientReleasedError'
}

/** Asked for something that only a transaction has, outside one. */
export class NoTransactionError extends SharedConnectionError {
  override readonly name = 'NoTransactionError'
}

/** A statement for a frame that is ending or has ended. It was not sent, and never falls back to the pool. */
export class TransactionClosedError extends SharedConnectionError {
  override readonly name = 'TransactionClosedError'
  /** How the frame ended, or `ending`. */
  readonly state: FrameState

  constructor(message: string, state: FrameState, options?: ErrorOptions) {
    super(message, options)
    this.state = state
  }
}

/**
 * The transaction did not commit, because of `cause`: a statement error that was swallowed, a
 * ROLLBACK by hand, or a lost connection. Where it comes out of a layer's call,
 * `isAbortedTransactionError` of Kysely holds for it.
 */
export class TransactionAbortedError extends SharedConnectionError {
  override readonly name = 'TransactionAbortedError'

  /**
   * Lets Kysely know the error. Its own builder takes it to say that its transaction has ended, and
   * then sends no ROLLBACK: so not before the frame that the error is about is gone.
   */
  brand(): void {
    Object.defineProperty(this, KYSELY_ABORTED, { value: true, configurable: true })
  }
}

/** The connection was lost while COMMIT was on its way: whether it took effect is not known. */
export class TransactionOutcomeUnknownError extends SharedConnectionError {
  override readonly name = 'TransactionOutcomeUnknownError'
}

/** A block that joined the transaction failed, so it was rolled back. `cause` is that first error. */
export class RollbackOnlyError extends SharedConnectionError {
  override readonly name = 'RollbackOnlyError'
}

/** What the server says of the transaction is not what was asked for: somebody moved it behind the bridge. */
export class TransactionDriftError extends SharedConnectionError {
  override readonly name = 'TransactionDriftError'
}

/** All clients of the pool are held by transactions, and each of these waits for one more. */
export class PoolExhaustedError extends SharedConnectionError {
  override readonly name = 'PoolExhaustedError'
}

/** A wait for a turn on the connection took longer than `turnTimeout` while nothing went on there. */
export class TurnTimeoutError extends SharedConnectionError {
  override readonly name = 'TurnTimeoutError'
}

/**
 * A statement that left together with others, and that the server did not run: one in front of it
 * had failed (`cause`) and left the transaction aborted. `code` is what the server would have said.
 */
export class StatementSkippedError extends SharedConnectionError {
  override readonly name = 'StatementSkippedError'
  /** `in_failed_sql_transaction` */
  readonly code = '25P02'
  /** The statement's own text. */
  readonly sql: string

  constructor(sql: string, cause: unknown) {
    super(
      'the statement was not run: one that was sent in front of it has failed, and the transaction is aborted',
      { cause },
    )
    this.sql = sql
  }
}

/** Kysely's `kill session` ended the connection while its statement ran, and the transaction with it. */
export class SessionKilledError extends SharedConnectionError {
  override readonly name = 'SessionKilledError'
}

/** `shared.transaction()` took longer than its `timeout`, and was rolled back. */
export class TransactionTimeoutError extends SharedConnectionError {
  override readonly name = 'TransactionTimeoutError'
}

/** Hooks threw. The transaction is what `outcome` says; every hook has run. */
export class HookError extends SharedConnectionError {
  override readonly name = 'HookError'
  readonly outcome: Outcome
  /** All that was thrown, in order. The first is also `cause`. */
  readonly errors: readonly unknown[]

  constructor(outcome: Outcome, errors: readonly unknown[]) {
    super(
      `${errors.length === 1 ? 'a hook' : `${errors.length} hooks`} failed; the transaction ${outcome === 'unknown' ? 'has an unknown outcome' : `is ${outcome}`}`,
      {
        cause: errors[0],
      },
    )
    this.outcome = outcome
    this.errors = errors
  }
}

/**
 * `shared.batch()` has committed, but no result could be made of the rows of an item: a type parser, a
 * column's `mapFromDriverValue` or a plugin threw. COMMIT was on its way by then, with the statements.
 */
export class BatchResultError extends SharedConnectionError {
  override readonly name = 'BatchResultError'
  readonly outcome: Outcome = 'committed'
  /** Which item it is, from 0. */
  readonly index: number

  constructor(index: number, cause: unknown) {
    super(
      `the batch has committed, but what read the rows of item ${index} threw. ` +
        'All that was written is kept: do not send it again for the result',
      { cause },
    )
    this.index = index
  }
}

/**
 * Thrown inside `shared.transaction` it rolls back and lets the call resolve with `value`.
 *
 * ```ts
 * const seen = await shared.transaction(async ({ tx }) => {
 *   const rows = await tx.select().from(accounts)
 *   throw new Rollback(rows)                            // ROLLBACK; resolves with rows
 * })
 * ```
 */
export class Rollback<T = undefined> extends Error {
  override readonly name = 'Rollback'
  readonly value: T

  constructor(...value: T extends undefined ? [] : [value: T]) {
    super('rolled back on request')
    this.value = value[0] as T
  }
}

/** Notes what failed during the clean-up on the error that matters. */
export function suppress(error: unknown, failure: unknown): void {
  if (error === failure) return
  const known = (error as { suppressed?: unknown } | undefined)?.suppressed
  if (Array.isArray(known)) known.push(failure)
  else if (error instanceof Error && Object.isExtensible(error)) {
    Object.defineProperty(error, 'suppressed', { value: [failure], configurable: true })
  } else {
    // its message may hold parameters
    const name = failure instanceof Error ? failure.name : typeof failure
    process.emitWarning(`what failed while cleaning up could not travel with its error: ${name}`)
  }
}

/** Names the type of a value in a message. */
export function kindOf(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (value === null || typeof value !== 'object') return String(value)
  const { name } = value.constructor ?? {}
  return name === undefined || name === '' ? 'an object' : `a ${name}`
}
