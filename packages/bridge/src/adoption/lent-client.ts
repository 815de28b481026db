import { currentScope } from '../transaction/scope.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import type { Connection } from '../connection/connection.ts'
import type { Database } from '../database/database.ts'
import { dispatch } from '../database/query-call.ts'
import { clientProxy } from './client-proxy.ts'
import type { Lease } from '../database/lease.ts'
import type { PgClient } from '../protocol/pg.ts'

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
