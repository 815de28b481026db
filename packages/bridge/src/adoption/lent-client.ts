import { readsOnly } from '../sql/reads-only.ts'
import type { Layer } from '../transaction/frame.ts'
import { callSiteHere } from '../transaction/call-site.ts'
import { currentScope, type Scope } from '../transaction/scope.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import type { Connection } from '../connection/connection.ts'
import type { Database } from '../database/database.ts'
import { clientProxy } from './client-proxy.ts'
import type { Lease } from '../database/lease.ts'
import type { PgClient, QueryResult, Submittable } from '../protocol/pg.ts'
import { PortalCursor } from '../database/portal-cursor.ts'
import { Statement } from '../wire/statement.ts'

/** Runs a call of `query`, by code under `link`, in any of the forms of `pg`, and answers in the same form. */
export function dispatch(
  database: Database,
  layer: Layer,
  [config, values, callback]: readonly unknown[],
  scope: Scope | undefined,
  lease?: Lease,
  signal?: AbortSignal,
): unknown {
  // what pg does with the same mistake
  if (config === undefined || config === null) {
    throw new TypeError('Client was passed a null or undefined query')
  }
  const statement = new Statement(layer, config, values, callback)
  statement.signal = signal
  if (statement.isSubmittable) statement.callSite = lease?.callSite ?? callSiteHere()
  if (statement.isSubmittable && layer === 'kysely' && database.frameOf(lease, scope)) {
    // a cursor of Kysely's, which would keep the connection to itself until its end
    return new PortalCursor(database, statement, lease)
  }
  const { callback: answered } = statement
  if (answered !== undefined && typeof answered !== 'function' && !statement.isSubmittable) {
    throw new TypeError('callback is not a function')
  }
  const answer = withCache(
    database,
    statement,
    lease,
    scope,
    database.query(statement, lease, scope),
  )
  if (statement.isSubmittable) {
    const query = config as Submittable & { callback?: unknown }
    query.callback ??= answered
    answer.catch((error: unknown) => {
      if (!statement.isDelivered) query.handleError(error, undefined as never)
    })
    return query
  }
  if (answered === undefined) return answer
  // on the next tick, so that what it throws is no rejection of ours
  answer.then(
    (result) => process.nextTick(answered, null, result),
    (error: unknown) => process.nextTick(answered, error),
  )
  return undefined
}

/** What plain `pg` writes, a cache can only know from here. The layers tell of their own writes. */
function withCache(
  database: Database,
  statement: Statement,
  lease: Lease | undefined,
  scope: Scope | undefined,
  answer: Promise<QueryResult>,
): Promise<QueryResult> {
  if (database.onWrite === undefined || statement.layer !== 'pg') return answer
  if (readsOnly(statement.text)) return answer
  const root = database.frameOf(lease, scope)?.root
  return answer.then(async (result) => {
    await database.reportWrite('all', root)
    return result
  })
}

/** The client that `pool.connect()` gives to its caller, who cannot use it after its release. */
export function clientOfLease(database: Database, lease: Lease): PgClient {
  const query = (...args: unknown[]): unknown =>
    dispatch(database, 'pg', args, currentScope(), lease)
  return clientProxy(lease.connection, query, (error) => {
    if (lease.isReleased) {
      throw new Error('Release called on client which has already been released to the pool.')
    }
    release(lease, error)
  })
}

const clients = new WeakMap<Connection, PgClient>()

/**
 * The client that Kysely gets. It is always the same for one physical connection, since Kysely knows a
 * connection again by its client. A call on it belongs to the request that its scope names.
 */
export function clientOfConnection(database: Database, connection: Connection): PgClient {
  let client = clients.get(connection)
  if (client === undefined) {
    const query = (...args: unknown[]): unknown => {
      const scope = currentScope()
      const request = LeaseRequest.of(scope, database)
      const layer = request?.options.layer ?? 'pg'
      return dispatch(database, layer, args, scope, request?.lease, request?.signal)
    }
    client = clientProxy(connection, query, (error) => {
      const lease = LeaseRequest.of(currentScope(), database)?.taken
      if (lease !== undefined) release(lease, error)
    })
    clients.set(connection, client)
  }
  return client
}

function release(lease: Lease, error: unknown): void {
  lease.release(Boolean(error))?.catch((failure: Error) => process.emitWarning(failure))
}
