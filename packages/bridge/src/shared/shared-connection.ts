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
import type { TransactionContextFor } from './transaction-block.ts'
import type { Propagation, TransactionOptionsFor } from './transaction-options.ts'

/** A Kysely database on the connection that a Drizzle database uses. */
export type SharedKysely<DB, O extends DrizzleLike = DrizzleLike> = ExtendedKysely<
  DB,
  SharedConnection<O, DB>
>

/** A Kysely transaction on the connection that a Drizzle database uses. Its `transaction()` nests. */
export type SharedTransaction<DB, O extends DrizzleLike = DrizzleLike> = KyselyTransaction<
  DB,
  SharedConnection<O, DB>
>

/** The type of the physical client of a Drizzle database: that of its pool's clients, or its own client. */
export type ClientOf<O extends DrizzleLike> = O['$client'] extends {
  connect: { (): Promise<infer C>; (callback: never): void }
}
  ? C extends object
    ? C
    : O['$client']
  : O['$client']

/**
 * The bridge of one pool: one Drizzle database, or several on that pool, and any number of Kysely
 * databases share connections and transactions. All members can be destructured.
 */
export interface SharedConnection<O extends DrizzleLike = DrizzleLike, DB = unknown> extends Hooks {
  /** Whether the calling code is in a transaction of any layer. Sends nothing. */
  readonly inTransaction: boolean
  /** A snapshot of the transaction around the calling code; `undefined` outside. Sends nothing. */
  readonly current: TransactionState | undefined
  /**
   * Makes a Kysely database on this connection. It takes Kysely's own options, except `dialect`.
   *
   * ```ts
   * const db = shared.kysely<Database>()
   * ```
   */
  kysely<D = DB>(this: void, options?: KyselyOptions): SharedKysely<D, O>
  /**
   * Runs `fn` in a transaction that both layers can use: BEGIN and COMMIT, or SAVEPOINT and RELEASE
   * inside an open transaction (see `propagation`). Rolls back if `fn` rejects, and rejects with its
   * error. If `fn` throws {@link Rollback}, it rolls back and resolves with the value of that. On
   * `db.shared`, `trx` has the types of the tables of `db`. With a propagation that may result in no
   * transaction, `tx` and `trx` are the databases themselves where there is none.
   *
   * ```ts
   * await shared.transaction(async ({ tx, trx }) => {                 // BEGIN
   *   await tx.insert(accounts).values({ email })
   *   await trx.insertInto('audit').values({ email }).execute()
   * }, { isolationLevel: 'serializable' })                            // COMMIT
   * ```
   *
   * @throws {@link InvalidArgumentError} for invalid options, before any SQL
   * @throws {@link TransactionOptionError} if an option cannot be honoured here, before any SQL
   * @throws {@link PropagationError} if `mandatory` or `never` does not allow the call, before any SQL
   * @throws {@link TransactionAbortedError} if a swallowed error has aborted the transaction
   * @throws {@link RollbackOnlyError} if a block that joined the transaction has failed
   * @throws {@link TransactionTimeoutError} if `timeout` has elapsed
   * @throws {@link TransactionOutcomeUnknownError} if the connection was lost during COMMIT
   * @throws {@link HookError} if hooks failed; its `outcome` is that of the transaction
   */
  transaction<T, P extends Propagation = 'nested'>(
    this: void,
    fn: (context: TransactionContextFor<P, O, DB, SharedConnection<O, DB>>) => Promise<T> | T,
    options?: TransactionOptionsFor<P>,
  ): Promise<T>
  /**
   * Sends query builders of Drizzle and Kysely as one transaction: BEGIN, the statements and COMMIT take
   * one round trip, and a rollback takes one more. Inside a transaction the batch is a savepoint.
   * Resolves with the results, in order and typed. If a statement fails, all are rolled back, and the
   * call rejects with its error. Each item must send one statement, and none can depend on the result of
   * another.
   *
   * ```ts
   * const [accounts, audit] = await shared.batch([
   *   orm.insert(account).values(row).returning(),
   *   db.insertInto('audit').values(entry),
   * ])                                                     // begin, insert, insert, commit
   * ```
   *
   * @throws {@link InvalidArgumentError} for anything but builders, before any SQL
   * @throws {@link BatchResultError} if the batch has committed, but the rows of an item could not be
   *   read. Inside a transaction the batch is rolled back instead, and rejects with that error itself
   * @throws {@link TransactionOutcomeUnknownError} if the connection was lost before any answer
   */
  batch<const T extends readonly BatchItem[]>(this: void, items: T): Promise<BatchResults<T>>
  /**
   * Makes the transaction of a handle (`tx`, `trx`) the ambient one while `fn` runs. Sends nothing.
   *
   * ```ts
   * await shared.within(trx, () => orm.insert(orders).values(order))   // in the transaction of trx
   * ```
   *
   * @throws {@link InvalidArgumentError} for anything but a handle of this database
   * @throws {@link TransactionClosedError} if the transaction of the handle has ended
   */
  within<T>(this: void, handle: object, fn: () => Promise<T> | T): Promise<T>
  /**
   * Returns the frame of a handle (`tx`, `trx`), with its hooks. Sends nothing.
   *
   * @throws {@link InvalidArgumentError} for anything but a handle of this database
   */
  of(this: void, handle: object): TransactionFrame
  /**
   * Returns a Drizzle handle for the transaction of a handle of either layer. Sends nothing.
   *
   * @throws {@link InvalidArgumentError} for anything but a handle of this database
   */
  drizzleFor(this: void, handle: object): DrizzleTransaction<O>
  /**
   * Returns a Kysely handle for the transaction of a handle of either layer, with the plugins and the
   * log of `db`. Default for `db`: the first Kysely database that was extended or made. Sends nothing.
   *
   * @throws {@link InvalidArgumentError} for anything but a handle of this database
   */
  kyselyFor<D = DB>(this: void, handle: object, db?: Kysely<D>): SharedTransaction<D, O>
  /**
   * Runs `fn` outside the transaction around it. Its statements run on other connections of the pool.
   *
   * @throws {@link PoolExhaustedError} if transactions hold all clients and each waits for one more
   */
  outside<T>(this: void, fn: () => Promise<T> | T): Promise<T>
  /**
   * Calls `fn` with the physical client of the transaction around it, or else with one of the pool.
   * Sends deferred commands first, and no other statements until `fn` has ended.
   *
   * @throws {@link TransactionDriftError} if `fn` has begun or ended a transaction
   */
  withClient<T>(this: void, fn: (client: ClientOf<O>) => Promise<T> | T): Promise<T>
  /**
   * Ends the sharing: restores the pool and the Drizzle databases. Sends nothing, and closes no
   * connection.
   *
   * @throws {@link DisposeError} while a connection is in use
   */
  dispose(this: void): void
}
