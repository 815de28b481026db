import type {
  AccessMode,
  Command,
  ControlledTransaction,
  IsolationLevel,
  Kysely,
  KyselyPlugin,
  Transaction,
} from 'kysely'
export type { Kysely } from 'kysely'
import type { Hooks } from '../transaction/register-hook.ts'

// What the bridge adds stands first in each intersection: of two methods of one name TypeScript
// takes the first, and Kysely 0.29 types `transaction()` of a transaction as `never`.

/** What every Kysely of the bridge has more, or has with other results. */
interface Extras<DB, Shared> extends Hooks {
  /** The bridge behind it. */
  readonly shared: Shared
  /** Whether the calling code is inside a transaction, of whichever layer. Sends nothing. */
  readonly inTransaction: boolean
  /** Builds a transaction, or a savepoint where one is open: BEGIN or SAVEPOINT, deferred to the first statement. */
  transaction(): SharedTransactionBuilder<DB, Shared>
  /**
   * Builds a controlled transaction, which ends by `commit()` or `rollback()`. The global `orm` and `db` do not
   * take part in it, unless `shared.within()` says so.
   */
  startTransaction(): SharedControlledTransactionBuilder<DB, Shared>
}

/** A Kysely database on the connection that Drizzle uses. It is a `Kysely<DB>` in all else. */
export type ExtendedKysely<DB, Shared> = Extras<DB, Shared> &
  Deriving<DB, 'kysely', Shared> & {
    /** Builds a call that keeps one connection while its callback runs. Inside a transaction that is the transaction's. */
    connection(): SharedConnectionBuilder<DB, Shared>
    /** Closes nothing, since the pool is Drizzle's. Close it with `orm.$client.end()`. */
    destroy(): Promise<void>
  } & Kysely<DB> &
  Inferable<DB>

/** A Kysely transaction in which `transaction()` nests. */
export type SharedTransaction<DB, Shared = unknown> = Extras<DB, Shared> &
  Deriving<DB, 'transaction', Shared> &
  Transaction<DB> &
  Inferable<DB>

/** A Kysely controlled transaction in which `transaction()` nests. */
export type SharedControlledTransaction<DB, S extends string[] = [], Shared = unknown> = Extras<
  DB,
  Shared
> & {
  /** Opens a savepoint: SAVEPOINT, deferred to the next statement. */
  savepoint<SN extends string>(
    savepointName: SN extends S ? never : SN,
  ): Command<SharedControlledTransaction<DB, [...S, SN], Shared>>
  /** Rolls back all work since the savepoint, which stays open: ROLLBACK TO, at once. */
  rollbackToSavepoint<SN extends S[number]>(
    savepointName: SN,
  ): Command<SharedControlledTransaction<DB, UpTo<S, SN>, Shared>>
  /** Releases the savepoint: RELEASE, deferred to the next statement. Its work becomes that of the frame around it. */
  releaseSavepoint<SN extends S[number]>(
    savepointName: SN,
  ): Command<SharedControlledTransaction<DB, Before<S, SN>, Shared>>
  withPlugin(plugin: KyselyPlugin): SharedControlledTransaction<DB, S, Shared>
  withoutPlugins(): SharedControlledTransaction<DB, S, Shared>
  withSchema(schema: string): SharedControlledTransaction<DB, S, Shared>
} & ControlledTransaction<DB, S> &
  Inferable<DB>

/** The open savepoints after a rollback to one of them, which stays. */
type UpTo<S extends string[], SN extends string> = S extends [
  ...infer Outer extends string[],
  infer Last extends string,
]
  ? SN extends Last
    ? S
    : UpTo<Outer, SN>
  : []

/** The open savepoints after the release of one of them. */
type Before<S extends string[], SN extends string> = S extends [
  ...infer Outer extends string[],
  infer Last extends string,
]
  ? SN extends Last
    ? Outer
    : Before<Outer, SN>
  : []

/** Builds a transaction, as Kysely's own `TransactionBuilder` does. */
export interface SharedTransactionBuilder<DB, Shared = unknown> {
  /** Sets the access mode. A savepoint can only be narrowed to `read only`. */
  setAccessMode(accessMode: AccessMode): SharedTransactionBuilder<DB, Shared>
  /** Sets the isolation level. Inside a transaction it must be that of the transaction. */
  setIsolationLevel(isolationLevel: IsolationLevel): SharedTransactionBuilder<DB, Shared>
  /**
   * Runs the callback in the transaction. COMMIT or RELEASE when it resolves; when it rejects, ROLLBACK or
   * ROLLBACK TO, and the same error.
   *
   * @throws `TransactionOptionError` for an option that cannot be honoured here, before any SQL
   * @throws `TransactionAbortedError` when a swallowed error had aborted the transaction
   * @throws `TransactionOutcomeUnknownError` when the connection was lost while COMMIT was in flight
   */
  execute<T>(callback: (trx: SharedTransaction<DB, Shared>) => Promise<T>): Promise<T>
}

/** Builds a controlled transaction, as Kysely's own `ControlledTransactionBuilder` does. */
export interface SharedControlledTransactionBuilder<DB, Shared = unknown> {
  /** Sets the access mode. A savepoint can only be narrowed to `read only`. */
  setAccessMode(accessMode: AccessMode): SharedControlledTransactionBuilder<DB, Shared>
  /** Sets the isolation level. Inside a transaction it must be that of the transaction. */
  setIsolationLevel(isolationLevel: IsolationLevel): SharedControlledTransactionBuilder<DB, Shared>
  /** Takes a connection and begins the transaction: BEGIN, deferred to the first statement. */
  execute(): Promise<SharedControlledTransaction<DB, [], Shared>>
}

/** Takes one connection for a while, as Kysely's own `ConnectionBuilder` does. */
export interface SharedConnectionBuilder<DB, Shared = unknown> {
  /** Runs the callback with a database whose statements all use one connection. Sends nothing by itself. */
  execute<T>(callback: (db: ExtendedKysely<DB, Shared>) => Promise<T>): Promise<T>
}

/**
 * Stands last in each intersection, so that a helper over any `Kysely<D>` infers D. TypeScript
 * infers from the last signature of a method, and from Kysely's own signatures of these methods it
 * infers a wrong D. A call takes the first signature that fits, and no call fits these.
 */
type Inferable<DB> = {
  deleteFrom(from: Parameters<Kysely<DB>['deleteFrom']>[0], uncallable: never): never
  selectFrom(from: Parameters<Kysely<DB>['selectFrom']>[0], uncallable: never): never
  updateTable(tables: Parameters<Kysely<DB>['updateTable']>[0], uncallable: never): never
} & ('$omitTables' extends keyof Kysely<DB> ? { $omitTables(uncallable: never): never } : unknown)

/** What is derived from a Kysely of the bridge is one too. */
type Deriving<DB, Kind extends 'kysely' | 'transaction', Shared> = {
  withPlugin(plugin: KyselyPlugin): Same<Kind, DB, Shared>
  withoutPlugins(): Same<Kind, DB, Shared>
  withSchema(schema: string): Same<Kind, DB, Shared>
  withTables<T extends Record<string, object>>(): Same<Kind, DB & T, Shared>
} & ('$extendTables' extends keyof Kysely<DB>
  ? {
      $extendTables<T extends Record<string, object>>(): Same<Kind, DB & T, Shared>
      $omitTables<T extends keyof DB>(): Same<Kind, Omit<DB, T>, Shared>
      $pickTables<T extends keyof DB>(): Same<Kind, Pick<DB, T>, Shared>
    }
  : unknown)

type Same<Kind extends 'kysely' | 'transaction', DB, Shared> = Kind extends 'kysely'
  ? ExtendedKysely<DB, Shared>
  : SharedTransaction<DB, Shared>
