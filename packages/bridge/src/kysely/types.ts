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
  /** Whether the code that asks stands in a transaction, of whichever layer. Sends nothing. */
  readonly inTransaction: boolean
  /** Opens a transaction, or a savepoint where one is open. */
  transaction(): SharedTransactionBuilder<DB, Shared>
  /** Opens a transaction that ends by `commit()` and `rollback()`. It is never the ambient one. */
  startTransaction(): SharedControlledTransactionBuilder<DB, Shared>
}

/** A Kysely database on the connection that Drizzle uses. It is a `Kysely<DB>` in all else. */
export type ExtendedKysely<DB, Shared> = Extras<DB, Shared> &
  Deriving<DB, 'kysely', Shared> & {
    connection(): SharedConnectionBuilder<DB, Shared>
    /** Ends nothing: the pool is Drizzle's. */
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
  savepoint<SN extends string>(
    savepointName: SN extends S ? never : SN,
  ): Command<SharedControlledTransaction<DB, [...S, SN], Shared>>
  rollbackToSavepoint<SN extends S[number]>(
    savepointName: SN,
  ): Command<SharedControlledTransaction<DB, UpTo<S, SN>, Shared>>
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
  setAccessMode(accessMode: AccessMode): SharedTransactionBuilder<DB, Shared>
  setIsolationLevel(isolationLevel: IsolationLevel): SharedTransactionBuilder<DB, Shared>
  execute<T>(callback: (trx: SharedTransaction<DB, Shared>) => Promise<T>): Promise<T>
}

/** Builds a controlled transaction, as Kysely's own `ControlledTransactionBuilder` does. */
export interface SharedControlledTransactionBuilder<DB, Shared = unknown> {
  setAccessMode(accessMode: AccessMode): SharedControlledTransactionBuilder<DB, Shared>
  setIsolationLevel(isolationLevel: IsolationLevel): SharedControlledTransactionBuilder<DB, Shared>
  execute(): Promise<SharedControlledTransaction<DB, [], Shared>>
}

/** Takes one connection for a while, as Kysely's own `ConnectionBuilder` does. */
export interface SharedConnectionBuilder<DB, Shared = unknown> {
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
