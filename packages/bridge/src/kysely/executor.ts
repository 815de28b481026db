import {
  type AbortableQueryOptions,
  type CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type KyselyPlugin,
  type QueryExecutor,
  type QueryResult,
  SingleConnectionProvider,
} from 'kysely'
import { DifferentPoolError } from '../errors.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import type { Database } from '../database/database.ts'
import type { Lease, LeaseOptions } from '../database/lease.ts'
import { type CallSite, callSiteHere } from '../transaction/call-site.ts'
import { currentScope, type Scope, runIn } from '../transaction/scope.ts'
import { AbortableConnection, type LeasedConnection, leasedClass } from './connection.ts'

type Consumer<T> = (connection: DatabaseConnection) => Promise<T>

/** A query executor of Kysely whose connections come through the bridge. */
export class SharedExecutor extends DefaultQueryExecutor {
  readonly #database: Database
  readonly #userExecutor: QueryExecutor
  readonly #provider: ConnectionProvider

  constructor(
    database: Database,
    callSite: QueryExecutor,
    plugins: readonly KyselyPlugin[] = callSite.plugins,
    provider: ConnectionProvider = new SharedProvider(database, callSite),
  ) {
    const compiler = { compileQuery: callSite.compileQuery.bind(callSite) }
    super(compiler, callSite.adapter, provider, [...plugins])
    this.#database = database
    this.#userExecutor = callSite
    this.#provider = provider
  }

  /** The same for the transaction of a handle, of whichever layer. */
  forLease(lease: Lease): SharedExecutor {
    return this.#with(this.plugins, new SharedProvider(this.#database, this.#userExecutor, lease))
  }

  override executeQuery<R>(
    query: CompiledQuery,
    options?: AbortableQueryOptions,
  ): Promise<QueryResult<R>> {
    if (options?.signal === undefined || this.#provider instanceof AbortableProvider) {
      return super.executeQuery<R>(query, options)
    }
    const abortable = this.#with(this.plugins, new AbortableProvider(this.#provider))
    return abortable.executeQuery<R>(query, options)
  }

  override stream<R>(
    query: CompiledQuery,
    chunkSize: number,
    ...rest: never[]
  ): AsyncIterableIterator<QueryResult<R>> {
    const provider = this.#provider
    if (!(provider instanceof SharedProvider)) return super.stream<R>(query, chunkSize, ...rest)
    // outside of a transaction it keeps a client, and who waits for that is told where it began
    const streaming = this.#with(this.plugins, new StreamProvider(provider, callSiteHere()))
    return streaming.stream<R>(query, chunkSize, ...rest)
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
    const replaced =
      provider instanceof SingleConnectionProvider
        ? new BoundProvider(this.#database, provider)
        : provider
    return this.#with(this.plugins, replaced)
  }

  #with(plugins: readonly KyselyPlugin[], provider = this.#provider): SharedExecutor {
    return new SharedExecutor(this.#database, this.#userExecutor, plugins, provider)
  }
}

/** Takes connections from the pool, through the user's own driver with its log and its hooks. */
class SharedProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #userExecutor: QueryExecutor
  readonly #lease: Lease | undefined

  constructor(database: Database, callSite: QueryExecutor, lease?: Lease) {
    this.#database = database
    this.#userExecutor = callSite
    this.#lease = lease
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    return this.provide(consumer, undefined, ...rest)
  }

  /** The same for a call that began at `origin`. */
  provide<T>(consumer: Consumer<T>, callSite: CallSite | undefined, ...rest: never[]): Promise<T> {
    const scope = currentScope()
    const waiting = pendingRequest(scope, this.#database)
    const options: LeaseOptions = { layer: 'kysely', callSite }
    const request = waiting ?? new LeaseRequest(options)
    const parent = this.#lease && this.#database.frameOf(this.#lease, scope)
    // what is called on a handle never joins
    if (parent !== undefined) request.options = { ...request.options, parent, joins: false }
    const provide = (): Promise<T> =>
      this.#userExecutor.provideConnection(
        async (connection) => {
          if (request.lease === undefined) throw differentPool(this.#database)
          const leased = leasedOn(connection, this.#database, request)
          // what begins a transaction leaves its borrower; any other code can speak as it
          if (waiting === undefined) return consumer(leased)
          return runIn(scope?.parent, () => consumer(leased))
        },
        ...rest,
      )
    return waiting === undefined ? request.run(this.#database, scope, provide) : provide()
  }
}

/**
 * Provides the one connection of a transaction. Kysely would send one statement at a time; the
 * queue of the bridge keeps the order for both layers, and lets more than one leave together.
 */
class BoundProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #provider: SingleConnectionProvider
  #connection: LeasedConnection | undefined
  #asked: Promise<DatabaseConnection> | undefined
  /** How many wait for it: who comes now comes behind them. */
  #waiting = 0

  constructor(database: Database, provider: SingleConnectionProvider) {
    this.#database = database
    this.#provider = provider
  }

  provideConnection<T>(consumer: Consumer<T>): Promise<T> {
    const scope = currentScope()
    const waiting = pendingRequest(scope, this.#database)
    const known = this.#connection
    const isKnown = known !== undefined && this.#waiting === 0
    if (isKnown && waiting === undefined) return consumer(known)
    return this.#provide(consumer, scope, waiting)
  }

  async #provide<T>(
    consumer: Consumer<T>,
    scope: Scope | undefined,
    waiting: LeaseRequest | undefined,
  ): Promise<T> {
    this.#asked ??= this.#provider.provideConnection((it) => Promise.resolve(it))
    this.#waiting++
    const leased = (await this.#asked) as LeasedConnection
    this.#waiting--
    this.#connection = leased
    if (waiting === undefined) return consumer(leased)

    // a transaction in this one: the same connection, with a lease of its own
    const on = leased.request.lease
    const parent = this.#database.frameOf(on, scope) ?? null
    const options = { ...waiting.options, parent, on, joins: false }
    waiting.lease = await this.#database.acquireLease(options, scope)
    const nested = leasedOn(leased.connection, this.#database, waiting)
    try {
      return await runIn(scope?.parent, () => consumer(nested))
    } finally {
      await waiting.lease.release()
    }
  }
}

/** Provides connections for streams. */
class StreamProvider implements ConnectionProvider {
  readonly #provider: SharedProvider
  readonly #userExecutor: CallSite

  constructor(provider: SharedProvider, callSite: CallSite) {
    this.#provider = provider
    this.#userExecutor = callSite
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    return this.#provider.provide(consumer, this.#userExecutor, ...rest)
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

function leasedOn(
  connection: DatabaseConnection,
  database: Database,
  request: LeaseRequest,
): LeasedConnection {
  return new (leasedClass(connection))(connection, database, request)
}

/** The transaction that has asked for its connection, if one has. */
function pendingRequest(scope: Scope | undefined, database: Database): LeaseRequest | undefined {
  const request = LeaseRequest.under(scope, database)
  return request?.lease === undefined ? request : undefined
}

function differentPool(database: Database): DifferentPoolError {
  const { name } = database.settings
  return new DifferentPoolError(
    `this Kysely database takes its connections from another pool than the Drizzle database${name === undefined ? '' : ` "${name}"`} that it was to share with. ` +
      'Make it with new PostgresDialect({ pool: orm.$client }), or let shared.kysely() make it. Nothing was sent',
  )
}
