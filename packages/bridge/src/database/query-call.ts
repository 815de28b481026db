import type { QueryResult, Submittable } from '../protocol/pg.ts'
import { UnsentCursor } from '../protocol/unsent-cursor.ts'
import { readsOnly } from '../sql/reads-only.ts'
import { callSiteHere } from '../transaction/call-site.ts'
import type { Layer } from '../transaction/frame.ts'
import type { Scope } from '../transaction/scope.ts'
import { Statement } from '../wire/statement.ts'
import type { Database } from './database.ts'
import type { Lease } from './lease.ts'
import { PortalCursor } from './portal-cursor.ts'

/** Runs a call of `query`, in any of the forms of `pg`, and answers in the same form. */
export function dispatch(
  database: Database,
  layer: Layer,
  [config, values, callback]: readonly unknown[],
  scope: Scope | undefined,
  lease?: Lease,
  signal?: AbortSignal,
): unknown {
  // pg throws the same error.
  if (config === undefined || config === null) {
    throw new TypeError('Client was passed a null or undefined query')
  }
  const statement = new Statement(layer, config, values, callback)
  statement.signal = signal
  if (statement.isSubmittable) return dispatchSubmittable(database, statement, scope, lease)
  const { callback: answered } = statement
  if (answered !== undefined && typeof answered !== 'function') {
    throw new TypeError('callback is not a function')
  }
  const answer = run(database, statement, scope, lease)
  if (answered === undefined) return answer
  // Called in the next tick, so that an error which it throws does not become a rejection.
  answer.then(
    (result) => process.nextTick(answered, null, result),
    (error: unknown) => process.nextTick(answered, error),
  )
  return undefined
}

/** Runs a query that speaks the protocol itself, and returns it, as `pg` does. */
function dispatchSubmittable(
  database: Database,
  statement: Statement,
  scope: Scope | undefined,
  lease: Lease | undefined,
): unknown {
  statement.callSite = lease?.callSite ?? callSiteHere()
  if (statement.layer === 'kysely' && database.frameOf(lease, scope)) {
    // Kysely's cursor would keep the connection to itself until its end.
    return new PortalCursor(database, statement, lease)
  }
  const query = statement.config as Submittable & { callback?: unknown }
  statement.unsent = UnsentCursor.watch(query)
  const answer = run(database, statement, scope, lease)
  query.callback ??= statement.callback
  answer.catch((error: unknown) => {
    if (!statement.isDelivered) query.handleError(error, undefined as never)
  })
  return query
}

function run(
  database: Database,
  statement: Statement,
  scope: Scope | undefined,
  lease: Lease | undefined,
): Promise<QueryResult> {
  const answer = database.query(statement, lease, scope)
  // The layers report their writes to the cache by themselves.
  const mayWrite = database.onWrite !== undefined && statement.layer === 'pg'
  if (!mayWrite || readsOnly(statement.text)) return answer
  return withReport(database, answer, scope, lease)
}

/** Reports a write to the cache, which may have changed any table. */
async function withReport(
  database: Database,
  answer: Promise<QueryResult>,
  scope: Scope | undefined,
  lease: Lease | undefined,
): Promise<QueryResult> {
  const root = database.frameOf(lease, scope)?.root
  const result = await answer
  await database.reportWrite('all', root)
  return result
}
