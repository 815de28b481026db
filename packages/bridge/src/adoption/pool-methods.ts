import { AsyncResource } from 'node:async_hooks'
import type { Database } from '../database/database.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import { lentConnection } from '../database/with-client.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { PgClient, PgPool } from '../protocol/pg.ts'
import { callSiteHere } from '../transaction/call-site.ts'
import { currentScope, enclosingTransactions } from '../transaction/scope.ts'
import { dispatch } from '../database/query-call.ts'
import { endInside } from './end-inside.ts'
import { clientOfConnection, clientOfLease } from './lent-client.ts'

type ConnectCallback = (error: unknown, client?: PgClient, release?: PgClient['release']) => void

/**
 * The methods of a shared pool. Code that has wrapped them still calls them after `dispose()`: then
 * they do what the pool's own did.
 */
export function methodsOfPool(pool: PgPool, database: Database): Record<string, unknown> {
  const { query, connect, end } = pool
  return {
    query: (...args: unknown[]) => {
      // pg-pool itself refuses a call without a query
      const isOfPool = database.isDisposed || isNoQuery(args[0])
      if (isOfPool) return query.apply(pool, args as [unknown])
      return dispatch(database, 'pg', withoutCallback(args), currentScope())
    },
    connect: (callback?: ConnectCallback) => {
      if (database.isDisposed) return connect.call(pool, callback)
      const answer = takeClient(database)
      return callback === undefined ? answer : tellCallback(answer, callback)
    },
    end: (callback?: () => void) => {
      const scope = database.isDisposed ? undefined : currentScope()
      const roots = scope === undefined ? [] : [...enclosingTransactions(scope, database)]
      const root = roots.find(({ ended }) => !ended)
      const ending = end.call(pool, callback)
      if (root === undefined || callback !== undefined) return ending
      return endInside(ending, root, database.settings.turnTimeout, callSiteHere())
    },
  }
}

/** The methods of a shared single client, likewise. */
export function methodsOfClient(client: PgClient, database: Database): Record<string, unknown> {
  const { query, connect } = client
  return {
    connect: (...args: unknown[]) => {
      // Kysely's driver asks its pool for a client. The user connects this one before or after it is shared.
      const isAsked =
        !database.isDisposed && LeaseRequest.of(currentScope(), database) !== undefined
      return isAsked ? Promise.reject(noPool()) : connect.apply(client, args as [unknown])
    },
    query: (...args: unknown[]) => {
      const scope = currentScope()
      // withClient() lends the client itself
      const isItself = database.isDisposed || lentConnection(scope, database) !== undefined
      if (isItself) return query.apply(client, args as [unknown])
      return dispatch(database, 'pg', args, scope)
    },
  }
}

function noPool(): InvalidArgumentError {
  return new InvalidArgumentError(
    'this Kysely database was made with new PostgresDialect({ pool: orm.$client }), but that is a single client and no pool. ' +
      'Let shared.kysely() make the Kysely database. Nothing was sent',
  )
}

/** Takes a client for the calling code, or for the request that it serves. */
export async function takeClient(database: Database): Promise<PgClient> {
  const scope = currentScope()
  const request = LeaseRequest.of(scope, database)
  if (request !== undefined && request.connection === undefined) {
    return clientOfConnection(database, await request.connect(database, scope))
  }
  return clientOfLease(database, await database.acquireLease({ layer: 'pg' }, scope))
}

function tellCallback(answer: Promise<PgClient>, callback: ConnectCallback): void {
  // pg would call it in the context of the code that has released the client
  const bound = AsyncResource.bind(callback)
  answer.then(
    (client) => process.nextTick(bound, undefined, client, client.release),
    (error: unknown) => process.nextTick(bound, error, undefined, () => {}),
  )
}

function isNoQuery(config: unknown): boolean {
  return config === undefined || config === null || typeof config === 'function'
}

/** The arguments of `pool.query` without a callback in the configuration, which pg-pool ignores. */
function withoutCallback(args: readonly unknown[]): readonly unknown[] {
  const config = args[0] as { callback?: unknown; submit?: unknown } | undefined | null
  if (typeof config !== 'object' || !config?.callback || config.submit !== undefined) return args
  return [Object.create(config, { callback: { value: undefined } }), ...args.slice(1)]
}
