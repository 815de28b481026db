import {
  type AbortableQueryOptions,
  type CompiledQuery,
  type ConnectionProvider,
  DefaultQueryExecutor,
  type KyselyPlugin,
  type QueryExecutor,
  type QueryResult,
  SingleConnectionProvider,
} from 'kysely'
import type { Database } from '../database/database.ts'
import type { Lease } from '../database/lease.ts'
import { callSiteHere } from '../transaction/call-site.ts'
import { BoundProvider } from './bound-provider.ts'
import { AbortableConnection, type LeasedConnection } from './leased-connection.ts'
import { type Consumer, PoolProvider } from './pool-provider.ts'

/** A query executor of Kysely whose connections come through the bridge. */
export class SharedExecutor extends DefaultQueryExecutor {
  readonly #database: Database
  readonly #userExecutor: QueryExecutor
  readonly #provider: ConnectionProvider
  /** The same for single statements. */
  #statements: QueryExecutor | undefined

  constructor(
    database: Database,
    userExecutor: QueryExecutor,
    plugins: readonly KyselyPlugin[] = userExecutor.plugins,
    provider: ConnectionProvider = new PoolProvider(database, userExecutor),
  ) {
    super(userExecutor, userExecutor.adapter, provider, [...plugins])
    this.#database = database
    this.#userExecutor = userExecutor
    this.#provider = provider
  }

  /** The same for the transaction of a handle, of whichever layer. */
  forLease(lease: Lease): SharedExecutor {
    return this.#with(this.plugins, new PoolProvider(this.#database, this.#userExecutor, lease))
  }

  override executeQuery<R>(
    query: CompiledQuery,
    options?: AbortableQueryOptions,
  ): Promise<QueryResult<R>> {
    if (options?.signal !== undefined) {
      return this.#on(new AbortableProvider(this.#provider)).executeQuery<R>(query, options)
    }
    const provider = this.#provider
    // Leased connections report writes to the cache.
    const needsLease = !(provider instanceof PoolProvider) || this.#database.onWrite !== undefined
    if (needsLease) return super.executeQuery<R>(query, options)
    this.#statements ??= this.#on(provider.forStatements())
    return this.#statements.executeQuery<R>(query, options)
  }

  override stream<R>(
    query: CompiledQuery,
    chunkSize: number,
    ...rest: never[]
  ): AsyncIterableIterator<QueryResult<R>> {
    const provider = this.#provider
    if (!(provider instanceof PoolProvider)) return super.stream<R>(query, chunkSize, ...rest)
    // Outside a transaction it occupies a client, and the errors of those who wait for that say where it began.
    return this.#on(provider.for(callSiteHere())).stream<R>(query, chunkSize, ...rest)
  }

  override withPlugins(plugins: readonly KyselyPlugin[]): SharedExecutor {
    return this.#with([...this.plugins, ...plugins])
  }

  override withPlugin(plugin: KyselyPlugin): SharedExecutor {
    return this.#with([...this.plugins, plugin])
  }

  override withPluginAtFront(plugin: KyselyPlugin): SharedExecutor {
    return this.#with([plugin, ...this.plugins])
  }

  override withoutPlugins(): SharedExecutor {
    return this.#with([])
  }

  override withConnectionProvider(provider: ConnectionProvider): SharedExecutor {
    const isSingle = provider instanceof SingleConnectionProvider
    return this.#with(
      this.plugins,
      isSingle ? new BoundProvider(this.#database, provider) : provider,
    )
  }

  #with(plugins: readonly KyselyPlugin[], provider = this.#provider): SharedExecutor {
    return new SharedExecutor(this.#database, this.#userExecutor, plugins, provider)
  }

  /** Kysely's own executor, on a provider of the bridge. */
  #on(provider: ConnectionProvider): QueryExecutor {
    return new DefaultQueryExecutor(this.#userExecutor, this.adapter, provider, [...this.plugins])
  }
}

/** Provides connections for statements that come with a signal. */
class AbortableProvider implements ConnectionProvider {
  readonly #provider: ConnectionProvider

  constructor(provider: ConnectionProvider) {
    this.#provider = provider
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    return this.#provider.provideConnection(
      (connection) => consumer(new AbortableConnection(connection as LeasedConnection)),
      ...rest,
    )
  }
}
