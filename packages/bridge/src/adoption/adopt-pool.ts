import { AsyncResource } from 'node:async_hooks'
import { DisposeError, InvalidArgumentError } from '../errors.ts'
import { currentScope } from '../transaction/scope.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import { clientOfConnection, clientOfLease, dispatch } from './lent-client.ts'
import { Connection } from '../connection/connection.ts'
import { Database } from '../database/database.ts'
import type { PgClient, PgPool } from '../protocol/pg.ts'
import { replace } from './replace.ts'
import { assertSameSettings, settingsOf, type SharedConnectionOptions } from '../settings.ts'
import { ClientSource, PoolSource } from '../checkout/source.ts'
import { lentConnection } from '../database/with-client.ts'

/** An adopted pool or client, and how to let it go. */
export interface Adoption {
  readonly database: Database
  readonly pool: PgPool | PgClient
  /** Puts the original methods back. Refused while a transaction is open. */
  dispose(): void
}

const adoptions = new Map<object, Adoption>()

/** The pools that are adopted now. One that was ended is let go: nobody can use it any more. */
export function adopted(): readonly Adoption[] {
  for (const [pool] of adoptions) if (isPool(pool) && pool.ended) adoptions.delete(pool)
  return [...adoptions.values()]
}

/**
 * Adopts a pool: gives it `query` and `connect` of the bridge, in place of those of its prototype.
 * The pool is the identity: a second call gives the same adoption. Sends nothing and opens nothing.
 */
export function adoptPool(pool: unknown, options: SharedConnectionOptions): Adoption {
  if (isPool(pool)) assertUsable(pool)
  const known = adoptions.get(pool as object)
  if (known !== undefined) {
    assertSameSettings(known.database.settings, options)
    return known
  }
  const settings = settingsOf(options)
  let database: Database
  let methods: Record<string, unknown>
  if (isPool(pool)) {
    const original = pool.connect
    const connections = new WeakMap<PgClient, Connection>()
    database = new Database(settings, (self) => {
      return new PoolSource(pool, original, (client) => {
        let connection = connections.get(client)
        if (connection === undefined) {
          connection = new Connection(client, client.query, self, settings, pool.options.stream)
          connections.set(client, connection)
        }
        return connection
      })
    })
    methods = methodsOfPool(pool, database)
  } else if (isClient(pool)) {
    const { query } = pool
    database = new Database(settings, (self) => {
      return new ClientSource(new Connection(pool, query, self, settings), query)
    })
    methods = methodsOfClient(pool, database)
  } else throw notPg(pool)

  const restore = replace(pool, methods)
  const adoption: Adoption = {
    database,
    pool,
    dispose() {
      if (database.inUse > 0) {
        throw new DisposeError(
          `${database.inUse} connections are in use. Dispose when all transactions have ended and all clients are given back`,
        )
      }
      restore()
      database.isDisposed = true
      adoptions.delete(pool)
    },
  }
  adoptions.set(pool, adoption)
  return adoption
}

/**
 * The methods of a pool that is shared. Where somebody has wrapped them, they are called after
 * `dispose()` too: they are those that the pool had before, then.
 */
function methodsOfPool(pool: PgPool, database: Database): Record<string, unknown> {
  const { query, connect: connectBefore } = pool
  return {
    query: (...args: unknown[]) => {
      // what pg-pool refuses, it refuses itself
      const isOfPool = database.isDisposed || isNoQuery(args[0])
      if (isOfPool) return query.apply(pool, args as [unknown])
      return dispatch(database, 'pg', withoutCallback(args), currentScope())
    },
    connect: (callback?: ConnectCallback) => {
      if (database.isDisposed) return connectBefore.call(pool, callback)
      return connect(database, callback)
    },
  }
}

/** The method of a single client that is shared, likewise. */
function methodsOfClient(client: PgClient, database: Database): Record<string, unknown> {
  const { query } = client
  return {
    query: (...args: unknown[]) => {
      const scope = currentScope()
      // in the hands of withClient() a client is itself
      const isItself = database.isDisposed || lentConnection(scope, database) !== undefined
      if (isItself) return query.apply(client, args as [unknown])
      return dispatch(database, 'pg', args, scope)
    },
  }
}

function isNoQuery(config: unknown): boolean {
  return config === undefined || config === null || typeof config === 'function'
}

/** The arguments of `pool.query`: pg-pool puts a callback of its own in place of the configuration's. */
function withoutCallback(args: readonly unknown[]): readonly unknown[] {
  const config = args[0] as { callback?: unknown; submit?: unknown } | undefined | null
  if (typeof config !== 'object' || !config?.callback || config.submit !== undefined) return args
  return [Object.create(config, { callback: { value: undefined } }), ...args.slice(1)]
}

type ConnectCallback = (error: unknown, client?: PgClient, release?: PgClient['release']) => void

function connect(database: Database, callback?: ConnectCallback): Promise<PgClient> | void {
  const answer = lend(database)
  if (callback === undefined) return answer
  // pg would call it in the context of whoever gave the client back
  const answered = AsyncResource.bind(callback)
  answer.then(
    (client) => process.nextTick(answered, undefined, client, client.release),
    (error: unknown) => process.nextTick(answered, error, undefined, () => {}),
  )
}

async function lend(database: Database): Promise<PgClient> {
  const caller = currentScope()
  const request = LeaseRequest.under(caller, database)
  if (request !== undefined && request.lease === undefined) {
    request.lease = await database.acquireLease(request.options, caller)
    return clientOfConnection(database, request.lease.connection)
  }
  return clientOfLease(database, await database.acquireLease({ layer: 'pg' }, caller))
}

/** The pool as Kysely's dialect wants it. It is not Kysely's to end. */
export function poolOf({ database, pool }: Adoption): Pick<PgPool, 'connect' | 'end' | 'options'> {
  return {
    options: isPool(pool) ? pool.options : {},
    connect: () => lend(database),
    end: () => Promise.resolve(),
  }
}

function isPool(value: unknown): value is PgPool {
  return has(value, 'query', 'connect', 'end') && 'totalCount' in value
}

function isClient(value: unknown): value is PgClient {
  return has(value, 'query', 'connect', 'end', 'getTransactionStatus')
}

function has(value: unknown, ...methods: readonly string[]): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
  )
}

function assertUsable(pool: PgPool): void {
  if (pool.ending || pool.ended) {
    throw new InvalidArgumentError(
      'the pool was ended: end() was called on it, and it gives out no more clients. Make a new pool, and a Drizzle database on it',
    )
  }
  const { Client } = pool as { Client?: { prototype?: object } }
  if (Client?.prototype !== undefined && !('getTransactionStatus' in Client.prototype)) {
    throw notPg(pool)
  }
}

function notPg(value: unknown): InvalidArgumentError {
  const isNative = has(value, 'query') && value.constructor.name.includes('Native')
  const given =
    isNative || 'Client' in (value as object) ? 'pg.native, or a pg before 8.21' : kindOf(value)
  return new InvalidArgumentError(
    `expected a Pool or Client of pg 8.21 or newer under Drizzle, got ${given}. ` +
      'Make the Drizzle database with drizzle(url) or drizzle({ client: new pg.Pool(…) }) of drizzle-orm/node-postgres',
  )
}

/** What a value is, in a word for a message. */
export function kindOf(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value)
  const { name } = value.constructor ?? {}
  return name === undefined || name === '' ? 'an object' : `a ${name}`
}
