/**
 * Lets Kysely and Drizzle share PostgreSQL connections and transactions. Begin with
 * {@link shareConnection}, or with `shared-connection/register` and `db.extension()`.
 *
 * @module
 */
export type { DrizzleLike, DrizzleTransaction } from './drizzle/types.ts'
export {
  AmbiguousDatabaseError,
  BatchResultError,
  ClientReleasedError,
  ControlStatementError,
  DifferentPoolError,
  DisposeError,
  HookError,
  InvalidArgumentError,
  isSharedConnectionError,
  NoTransactionError,
  OptionsConflictError,
  PoolExhaustedError,
  PropagationError,
  Rollback,
  RollbackOnlyError,
  SessionKilledError,
  SharedConnectionError,
  sharedConnectionErrorOf,
  StatementSkippedError,
  TransactionAbortedError,
  TransactionClosedError,
  TransactionDriftError,
  TransactionOptionError,
  TransactionOutcomeUnknownError,
  TransactionTimeoutError,
  TurnTimeoutError,
} from './errors.ts'
export {
  type InstallExtension,
  type ExtensionArguments,
  type ExtensionName,
  type ExtensionResult,
  type KyselyExtensions,
  registerExtension,
  type SharedConnectionExtension,
} from './shared/extension.ts'
export type { TransactionFrame, TransactionState } from './shared/frame-view.ts'
export {
  CHANNELS,
  type ConnectionEvent,
  type HookEvent,
  type NoticeEvent,
  type QueryEvent,
  type SavepointEvent,
  type TransactionEvent,
} from './instrumentation/channels.ts'
export { logQueries, type LogOptions } from './instrumentation/log-queries.ts'
export type { KyselyOptions } from './kysely/extend.ts'
export type {
  ExtendedKysely,
  SharedConnectionBuilder,
  SharedControlledTransaction,
  SharedControlledTransactionBuilder,
  SharedTransaction as ExtendedTransaction,
  SharedTransactionBuilder,
} from './kysely/types.ts'
export type { SharedConnectionOptions } from './settings.ts'
export type {
  ClientOf,
  SharedConnection,
  SharedKysely,
  SharedTransaction,
} from './shared/shared-connection.ts'
export { shareConnection } from './shared/shared-pool.ts'
export type { AccessMode, IsolationLevel, TransactionModes } from './sql/control-command.ts'
export type { Layer } from './transaction/frame.ts'
export type { FrameState, Outcome } from './outcome.ts'
export type { HookFunction, HookOptions, Hooks } from './transaction/register-hook.ts'
export type { BatchItem, BatchResults } from './shared/batch.ts'
export type { RetryOptions } from './shared/retry.ts'
export type {
  MaybeContext,
  TransactionContext,
  TransactionContextFor,
} from './shared/transaction-block.ts'
export type {
  MaybeOptions,
  Propagation,
  TransactionOptions,
  TransactionOptionsFor,
} from './shared/transaction-options.ts'
