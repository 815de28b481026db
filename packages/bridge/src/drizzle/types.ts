/**
 * A Drizzle database on node-postgres, of either major version. Structural: the classes of the
 * versions have different type parameters, and none is named here.
 */
export interface DrizzleLike {
  /** The pool or the client of `pg` that the database uses. */
  readonly $client: unknown
  /** Runs a callback in a transaction. */
  transaction(...args: never[]): Promise<unknown>
}

/** The handle that a Drizzle database gives to the callback of `transaction`. */
export type DrizzleTransaction<O extends DrizzleLike> = Parameters<O['transaction']>[0] extends (
  tx: infer Tx,
) => unknown
  ? Tx
  : never

/** Drizzle's session, as far as the bridge touches it. */
export interface Session {
  client: { query(...args: unknown[]): unknown }
  readonly schema?: unknown
  readonly relations?: unknown
  cache?: DrizzleCache
  transaction(fn: (tx: Tx) => unknown, config?: unknown): Promise<unknown>
  prepareQuery(...args: unknown[]): unknown
}

/** A Drizzle transaction, as far as the bridge touches it. */
export interface Tx {
  readonly session: Session
  transaction(fn: (tx: Tx) => unknown, config?: unknown): Promise<unknown>
}

/** The parts of a Drizzle database that its types hide. */
export interface Internals {
  readonly dialect: unknown
  readonly session: Session
  readonly _: {
    readonly session?: Session
    readonly fullSchema?: unknown
    readonly schema?: unknown
  }
}

/** The cache that a user can give to Drizzle. */
export interface DrizzleCache {
  strategy(): string
  get(key: string, tables: string[], isTag: boolean, isAutoInvalidate?: boolean): Promise<unknown>
  put(
    key: string,
    response: unknown,
    tables: string[],
    isTag: boolean,
    config?: unknown,
  ): Promise<void>
  onMutate(mutation: { tags?: string | string[]; tables?: unknown }): Promise<void>
}
