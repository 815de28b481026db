import type { DrizzleLike, DrizzleTransaction } from '../drizzle/types.ts'
import type { KyselyOptions } from '../kysely/extend.ts'
import type {
  ExtendedKysely,
  Kysely,
  SharedTransaction as KyselyTransaction,
} from '../kysely/types.ts'
import type { Hooks } from '../transaction/register-hook.ts'
import type { TransactionFrame, TransactionState } from './frame-view.ts'
import type { BatchItem, BatchResults } from './batch.ts'
import type { MaybeContext, TransactionContext } from './transaction-block.ts'
import type { MaybeOptions, TransactionOptions } from './transaction-options.ts'

/** A Kysely database on the connection that a Drizzle database uses. */
export type SharedKysely<DB, O extends DrizzleLike = DrizzleLike> = ExtendedKysely<
  DB,
  SharedConnection<O, DB>
>

/** A Kysely transaction of the bridge. */
export type SharedTransaction<DB, O extends DrizzleLike = DrizzleLike> = KyselyTransaction<
  DB,
  SharedConnection<O, DB>
>

/** The physical client of a Drizzle database: what its pool gives, or the client that it was made with. */
export type ClientOf<O extends DrizzleLike> = O['$client'] extends {
  connect: { (): Promise<infer C>; (callback: never): void }
}
  ? C extends object
    ? C
    : O['$client']
  : O['$client']

/** One Drizzle database and any number of Kysely databases that work on one connection. */
export interface SharedConnection<O extends DrizzleLike = DrizzleLike, DB = unknown> extends Hooks {
  /** Whether the code that asks stands in a transaction, of whichever layer. Sends nothing. */
  readonly inTransaction: boolean
  /** Where the code that asks stands; nothing outside a transaction. Sends nothing. */
  readonly current: TransactionState | undefined
  /** Makes a Kysely database on the connection, with Kysely's own options but for the dialect. */
  kysely<D = DB>(this: void, options?: KyselyOptions): SharedKysely<D, O>
  /**
   * Runs `fn` in a transaction that belongs to neither layer: BEGIN, or SAVEPOINT where one is
   * open. Commits when `fn` resolves, rolls back when it rejects. {@link Rollback} rolls back and
   * resolves with its value. On `db.shared` the type of `trx` knows the tables of `db`.
   *
   * ```ts
   * await shared.transaction(async ({ tx, trx }) => {                 // BEGIN
   *   await tx.insert(accounts).values({ email })
   *   await trx.insertInto('audit').values({ email }).execute()
   * }, { isolationLevel: 'serializable' })                            // COMMIT
   * ```
   *
   * @throws {@link TransactionOptionError} for an option that can not be honoured here
   * @throws {@link PropagationError} for a propagation that the place does not allow
   * @throws {@link TransactionAbortedError} when a swallowed error had doomed the transaction
   * @throws {@link TransactionOutcomeUnknownError} when the connection was lost during COMMIT
   * @throws {@link HookError} when hooks failed; the data is what its `outcome` says
   */
  transaction<T>(
    this: void,
    fn: (context: TransactionContext<O, DB, SharedConnection<O, DB>>) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<T>
  transaction<T>(
    this: void,
    fn: (context: MaybeContext<O, DB, SharedConnection<O, DB>>) => Promise<T> | T,
    options: MaybeOptions,
  ): Promise<T>
  /**
   * Sends builders of Drizzle and Kysely, mixed, as one transaction: BEGIN, the statements and COMMIT
   * leave together, in one round trip; one more rolls back. Inside a transaction they are a savepoint.
   * All or nothing: rejects with the error of the first that failed. Resolves with their results, in
   * order and typed. Each item sends one statement; none may depend on the result of another.
   *
   * ```ts
   * const [accounts, audit] = await shared.batch([
   *   orm.insert(account).values(row).returning(),
   *   db.insertInto('audit').values(entry),
   * ])                                                     // begin, insert, insert, commit
   * ```
   *
   * @throws {@link InvalidArgumentError} for anything but builders, before any SQL
   * @throws {@link BatchResultError} when it has committed, but what reads the rows of an item threw;
   *   inside a transaction that error itself, and all of the batch is rolled back
   * @throws {@link TransactionOutcomeUnknownError} when the connection was lost before any error came
   */
  batch<const T extends readonly BatchItem[]>(this: void, items: T): Promise<BatchResults<T>>
  /** Makes the transaction of a handle the ambient one while `fn` runs. */
  within<T>(this: void, handle: object, fn: () => Promise<T> | T): Promise<T>
  /** The frame of a handle, with its hooks. */
  of(this: void, handle: object): TransactionFrame
  /** Drizzle's handle for the transaction of any handle. */
  drizzleFor(this: void, handle: object): DrizzleTransaction<O>
  /**
   * Kysely's handle for the transaction of any handle, with the plugins and the log of `db`. By
   * default that is the Kysely database that was extended or made first, or else a plain one.
   */
  kyselyFor<D = DB>(this: void, handle: object, db?: Kysely<D>): SharedTransaction<D, O>
  /** Runs `fn` outside the transaction around it, on other connections. */
  outside<T>(this: void, fn: () => Promise<T> | T): Promise<T>
  /**
   * Gives `fn` the physical client of the transaction around, or one from the pool. What is held
   * back is sent first; nothing else is sent until `fn` ends.
   *
   * @throws {@link TransactionDriftError} when `fn` has moved the transaction
   */
  withClient<T>(this: void, fn: (client: ClientOf<O>) => Promise<T> | T): Promise<T>
  /**
   * Lets the pool and the Drizzle databases go: they are as they were before.
   *
   * @throws {@link DisposeError} while a connection is in use
   */
  dispose(this: void): void
}
