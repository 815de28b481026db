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
import { Borrower } from '../database/lease-request.ts'
import type { Database } from '../database/database.ts'
import type { Lease } from '../database/lease.ts'
import { type Origin, originHere } from '../transaction/call-site.ts'
import { currentLink, type Link, runIn } from '../transaction/scope.ts'
import { AbortableConnection, type LeasedConnection, leasedClass } from './connection.ts'

type Consumer<T> = (connection: DatabaseConnection) => Promise<T>

/** A query executor of Kysely whose connections come through the bridge. */
export class SharedExecutor extends DefaultQueryExecutor {
  readonly #database: Database
  readonly #origin: QueryExecutor
  readonly #provider: ConnectionProvider

  constructor(
    database: Database,
    origin: QueryExecutor,
    plugins: readonly KyselyPlugin[] = origin.plugins,
    provider: ConnectionProvider = new SharedProvider(database, origin),
  ) {
    const compiler = { compileQuery: origin.compileQuery.bind(origin) }
    super(compiler, origin.adapter, provider, [...plugins])
    this.#database = database
    this.#origin = origin
    this.#provider = provider
  }

  /** The same for the transaction of a handle, of whichever layer. */
  forLease(lease: Lease): SharedExecutor {
    return this.#with(this.plugins, new SharedProvider(this.#database, this.#origin, lease))
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
    const streaming = this.#with(this.plugins, new StreamProvider(provider, originHere()))
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
    return new SharedExecutor(this.#database, this.#origin, plugins, provider)
  }
}

/** Takes connections from the pool, through the user's own driver with its log and its hooks. */
class SharedProvider implements ConnectionProvider {
  readonly #database: Database
  readonly #origin: QueryExecutor
  readonly #lease: Lease | undefined

  constructor(database: Database, origin: QueryExecutor, lease?: Lease) {
    this.#database = database
    this.#origin = origin
    this.#lease = lease
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    return this.provide(consumer, undefined, ...rest)
  }

  /** The same for a call that began at `origin`. */
  provide<T>(consumer: Consumer<T>, origin: Origin | undefined, ...rest: never[]): Promise<T> {
    const link = currentLink()
    const waiting = waitingBorrower(link, this.#database)
    const borrower = waiting ?? new Borrower('plain', 'kysely', undefined, origin)
    if (this.#lease !== undefined) borrower.parent = this.#database.frameOf(this.#lease, link)
    const provide = (): Promise<T> =>
      this.#origin.provideConnection(
        async (connection) => {
          if (borrower.lease === undefined) throw differentPool(this.#database)
          const leased = leasedOn(connection, this.#database, borrower)
          // what begins a transaction leaves its borrower; any other code can speak as it
          if (waiting === undefined) return consumer(leased)
          return runIn(link?.parent, () => consumer(leased))
        },
        ...rest,
      )
    return waiting === undefined ? borrower.run(this.#database, link, provide) : provide()
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
    const link = currentLink()
    const waiting = waitingBorrower(link, this.#database)
    const known = this.#connection
    const isKnown = known !== undefined && this.#waiting === 0
    if (isKnown && waiting === undefined) return consumer(known)
    return this.#provide(consumer, link, waiting)
  }

  async #provide<T>(
    consumer: Consumer<T>,
    link: Link | undefined,
    waiting: Borrower | undefined,
  ): Promise<T> {
    this.#asked ??= this.#provider.provideConnection((it) => Promise.resolve(it))
    this.#waiting++
    const leased = (await this.#asked) as LeasedConnection
    this.#waiting--
    this.#connection = leased
    if (waiting === undefined) return consumer(leased)

    // a transaction in this one: the same connection, with a lease of its own
    const { kind, layer, block, origin } = waiting
    const on = leased.borrower.lease
    const parent = this.#database.frameOf(on, link) ?? null
    const wish = { link: block, parent, on, origin, joins: false }
    waiting.lease = await this.#database.lend(kind, layer, link, wish)
    const nested = leasedOn(leased.connection, this.#database, waiting)
    try {
      return await runIn(link?.parent, () => consumer(nested))
    } finally {
      await waiting.lease.release()
    }
  }
}

/** Provides connections for streams. */
class StreamProvider implements ConnectionProvider {
  readonly #provider: SharedProvider
  readonly #origin: Origin

  constructor(provider: SharedProvider, origin: Origin) {
    this.#provider = provider
    this.#origin = origin
  }

  provideConnection<T>(consumer: Consumer<T>, ...rest: never[]): Promise<T> {
    return this.#provider.provide(consumer, this.#origin, ...rest)
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
  borrower: Borrower,
): LeasedConnection {
  return new (leasedClass(connection))(connection, database, borrower)
}

/** The transaction that has asked for its connection, if one has. */
function waitingBorrower(link: Link | undefined, database: Database): Borrower | undefined {
  const borrower = Borrower.under(link, database)
  return borrower?.lease === undefined ? borrower : undefined
}

function differentPool(database: Database): DifferentPoolError {
  const { name } = database.settings
  return new DifferentPoolError(
    `this Kysely database takes its connections from another pool than the Drizzle database${name === undefined ? '' : ` "${name}"`} that it was to share with. ` +
      'Make it with new PostgresDialect({ pool: orm.$client }), or let shared.kysely() make it. Nothing was sent',
  )
}
