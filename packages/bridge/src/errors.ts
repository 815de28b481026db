import { brand, isError } from './brand.ts'
import type { FrameState, Outcome } from './outcome.ts'

/** The brand by which every installed copy of Kysely recognizes an aborted transaction. */
const KYSELY_ABORTED = Symbol.for('kysely.AbortedTransactionError')

/**
 * The base class of all errors of the bridge. Errors of PostgreSQL and `pg` are passed through unchanged.
 */
export abstract class SharedConnectionError extends Error {
  /** The stable name of the error's class, suitable for a `switch`. */
  abstract override readonly name: string
  /** Errors of the cleanup after this error, in order. They never replace it. */
  readonly suppressed: unknown[] = []

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    Object.defineProperty(this, 'suppressed', { enumerable: false })
  }
}

/**
 * Whether `error` is an error of the bridge, or was caused by one: Drizzle wraps what its statements reject
 * with. {@link sharedConnectionErrorOf} returns that error.
 */
export function isSharedConnectionError(
  error: unknown,
): error is SharedConnectionError | (Error & { readonly cause: unknown }) {
  return sharedConnectionErrorOf(error) !== undefined
}

/**
 * Returns the error of the bridge that `error` is, or that is the first among its causes. An error of another
 * installed copy of the package is one, too.
 *
 * ```ts
 * if (sharedConnectionErrorOf(error)?.name === 'TransactionClosedError') …
 * ```
 */
export function sharedConnectionErrorOf(error: unknown): SharedConnectionError | undefined {
  const seen = new Set<unknown>()
  for (let at = error; isError(at) && !seen.has(at); at = at.cause) {
    if (isOwnError(at)) return at
    seen.add(at)
  }
  return undefined
}

/** Whether the error itself is one of the bridge. */
export function isOwnError(error: unknown): error is SharedConnectionError {
  return error instanceof SharedConnectionError
}

/** A call was given an invalid argument. The message names it, and the values that are valid. */
export class InvalidArgumentError extends SharedConnectionError {
  override readonly name = 'InvalidArgumentError'
}

/** `db.extension(…)` was called without `drizzle` while no, or more than one, Drizzle database is shared. */
export class AmbiguousDatabaseError extends SharedConnectionError {
  override readonly name = 'AmbiguousDatabaseError'
}

/** The pool is shared already, with other options. */
export class OptionsConflictError extends SharedConnectionError {
  override readonly name = 'OptionsConflictError'
}

/** The Kysely database uses another pool than the Drizzle database. No SQL was sent. */
export class DifferentPoolError extends SharedConnectionError {
  override readonly name = 'DifferentPoolError'
}

/** `dispose()` was called while a connection was in use, or a call was made after `dispose()`. */
export class DisposeError extends SharedConnectionError {
  override readonly name = 'DisposeError'
}

/** A transaction option is not valid, or cannot be honoured inside the open transaction. No SQL was sent. */
export class TransactionOptionError extends SharedConnectionError {
  override readonly name = 'TransactionOptionError'
}

/**
 * The propagation does not allow the call: `mandatory` outside a transaction, or `never` inside one. No
 * SQL was sent.
 */
export class PropagationError extends SharedConnectionError {
  override readonly name = 'PropagationError'
}

/**
 * A manual control command (BEGIN, COMMIT, ROLLBACK, a savepoint command) was refused, since it would
 * move a transaction that a block owns or that the bridge could not follow. No SQL was sent.
 */
export class ControlStatementError extends SharedConnectionError {
  override readonly name = 'ControlStatementError'
}

/** A client or handle was used after its release. No SQL was sent. */
export class ClientReleasedError extends SharedConnectionError {
  override readonly name = 'ClientReleasedError'
}

/** A hook with `{ outside: 'throw' }` was registered where no transaction is open. */
export class NoTransactionError extends SharedConnectionError {
  override readonly name = 'NoTransactionError'
}

/**
 * A statement, block or hook came for a transaction or savepoint that is ending or has ended. Nothing
 * was sent, and it never falls back to the pool. The message contains the call that began the frame.
 */
export class TransactionClosedError extends SharedConnectionError {
  override readonly name = 'TransactionClosedError'
  /** The state of the frame when the work was refused. */
  readonly state: FrameState

  constructor(message: string, state: FrameState, options?: ErrorOptions) {
    super(message, options)
    this.state = state
  }
}

/**
 * The transaction or savepoint was rolled back although its block succeeded. `cause` is the reason: a
 * swallowed statement error, a lost connection, or a manual ROLLBACK. Kysely's
 * `isAbortedTransactionError` returns true for it.
 */
export class TransactionAbortedError extends SharedConnectionError {
  override readonly name = 'TransactionAbortedError'

  /**
   * Makes Kysely recognize the error. Kysely's own builder then assumes that its transaction has ended
   * and sends no ROLLBACK, so call this only after the frame has ended.
   *
   * @internal
   */
  brand(): void {
    Object.defineProperty(this, KYSELY_ABORTED, { value: true, configurable: true })
  }
}

/**
 * The connection was lost while COMMIT was in flight, so it is not known whether the transaction has
 * committed. Check the database before you repeat it. `cause` is the loss.
 */
export class TransactionOutcomeUnknownError extends SharedConnectionError {
  override readonly name = 'TransactionOutcomeUnknownError'
}

/** A joined block failed, so the transaction was rolled back. `cause` is the first error of such a block. */
export class RollbackOnlyError extends SharedConnectionError {
  override readonly name = 'RollbackOnlyError'
}

/**
 * The transaction status of the server is not the expected one: other code has begun or ended a
 * transaction without the bridge, for example a client of `withClient()`. The connection is closed.
 */
export class TransactionDriftError extends SharedConnectionError {
  override readonly name = 'TransactionDriftError'
}

/** A pool deadlock: transactions hold all clients of the pool, and each waits for one more client. */
export class PoolExhaustedError extends SharedConnectionError {
  override readonly name = 'PoolExhaustedError'
}

/**
 * A statement or block waited longer than the option `turnTimeout` for its turn while the connection was
 * idle. It was not sent.
 */
export class TurnTimeoutError extends SharedConnectionError {
  override readonly name = 'TurnTimeoutError'
}

/**
 * The server skipped a pipelined statement, because one before it had failed (`cause`) and aborted the
 * transaction.
 */
export class StatementSkippedError extends SharedConnectionError {
  override readonly name = 'StatementSkippedError'
  /** The SQLSTATE with which the server refuses statements in an aborted transaction. */
  readonly code = '25P02'
  /** The text of the skipped statement. */
  readonly sql: string

  constructor(sql: string, cause: unknown) {
    super(
      'the statement was not run: a statement that was sent before it has failed, and the transaction is aborted',
      { cause },
    )
    this.sql = sql
  }
}

/** Kysely's abort option `kill session` closed the connection, and so ended its transaction. */
export class SessionKilledError extends SharedConnectionError {
  override readonly name = 'SessionKilledError'
}

/** `shared.transaction()` took longer than its `timeout`, so it was rolled back. */
export class TransactionTimeoutError extends SharedConnectionError {
  override readonly name = 'TransactionTimeoutError'
}

/** One or more hooks threw. All hooks have run, and the outcome of the transaction has not changed. */
export class HookError extends SharedConnectionError {
  override readonly name = 'HookError'
  /** The outcome of the transaction. */
  readonly outcome: Outcome
  /** The thrown values, in order. The first one is also `cause`. */
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
 * `shared.batch()` has committed, but the rows of an item could not be read: a type parser, a column's
 * `mapFromDriverValue` or a plugin threw `cause`. COMMIT had been sent along with the statements.
 */
export class BatchResultError extends SharedConnectionError {
  override readonly name = 'BatchResultError'
  /** The outcome of the batch: always `committed`. */
  readonly outcome: Outcome = 'committed'
  /** The index of the item, from 0. */
  readonly index: number

  constructor(index: number, cause: unknown) {
    super(
      `the batch has committed, but reading the rows of item ${index} failed. ` +
        'All its writes are in the database, so do not send it again to get the result',
      { cause },
    )
    this.index = index
  }
}

/**
 * Throw this inside `shared.transaction()` to roll back and make the call resolve with `value`. In a
 * block that has joined a transaction it is an error as any other.
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
  /** The value that the call resolves with. */
  readonly value: T

  constructor(...value: T extends undefined ? [] : [value: T]) {
    super('rolled back on request')
    this.value = value[0] as T
  }
}

// A bundler may rename classes, but not these keys.
const BRANDED = {
  SharedConnectionError,
  InvalidArgumentError,
  AmbiguousDatabaseError,
  OptionsConflictError,
  DifferentPoolError,
  DisposeError,
  TransactionOptionError,
  PropagationError,
  ControlStatementError,
  ClientReleasedError,
  NoTransactionError,
  TransactionClosedError,
  TransactionAbortedError,
  TransactionOutcomeUnknownError,
  RollbackOnlyError,
  TransactionDriftError,
  PoolExhaustedError,
  TurnTimeoutError,
  StatementSkippedError,
  SessionKilledError,
  TransactionTimeoutError,
  HookError,
  BatchResultError,
  Rollback,
}
for (const [name, by] of Object.entries(BRANDED)) brand(by, name)
