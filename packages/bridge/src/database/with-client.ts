import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { callSiteHere } from '../transaction/call-site.ts'
import { currentScope, Scope, runIn } from '../transaction/scope.ts'
import { ObservedQuery, leftStream } from '../protocol/observed-query.ts'
import type { Connection } from '../connection/connection.ts'
import type { Database } from './database.ts'
import { TransactionDriftError } from '../errors.ts'
import { rejectWithCallerStack } from '../wire/caller-stack.ts'
import { whenIdle } from '../protocol/idle.ts'
import type { PgClient } from '../protocol/pg.ts'

/**
 * Passes the physical client to `fn`. Deferred commands are sent first, nothing else is sent meanwhile,
 * and afterwards the server's status byte is compared with the stack.
 */
export async function withClient<T>(
  database: Database,
  fn: (client: PgClient) => Promise<T> | T,
): Promise<T> {
  const scope = currentScope()
  const callSite = callSiteHere()
  const held = lentConnection(scope, database)
  if (held !== undefined) return fn(held.client)

  const frame = database.ambient
  const lease = await database.acquireLease({ layer: 'pg' }, scope)
  const { connection } = lease
  const inside = new Scope(scope, database, 'client', connection)
  let thrown: { readonly reason: unknown } | undefined
  const run = (): Promise<T> =>
    lend(connection, inside, fn).catch((reason: unknown) => {
      thrown = { reason }
      throw reason
    })
  const runAlone = (): Promise<T> =>
    connection.dispatcher.runExclusively(
      frame && connection.stack.innermostOf(frame),
      run,
      callSite,
    )
  try {
    const value = await (frame === undefined ? runAlone() : connection.turns.run(frame, runAlone))
    // The dispatcher treats a rejection with `undefined` as a success.
    if (thrown !== undefined) throw thrown.reason
    return value
  } catch (error) {
    // The status byte shows it far from the call that the user has to mend.
    if (error instanceof TransactionDriftError) return await rejectWithCallerStack(error)
    throw error
  } finally {
    await lease.release()
  }
}

/** Runs `fn` with the physical client, and waits until the client is idle. */
async function lend<T>(
  connection: Connection,
  inside: Scope,
  fn: (client: PgClient) => Promise<T> | T,
): Promise<T> {
  const { client, dispatcher } = connection
  const note = (): void => dispatcher.noteLentClient()
  note()
  client.on('drain', note)
  connection.clientScope = inside
  try {
    return await runIn(inside, async () => fn(client))
  } finally {
    // `fn` may not have awaited its last query, and the status byte comes after the answer.
    await settled(connection)
    client.removeListener('drain', note)
    connection.clientScope = undefined
  }
}

/** Waits until the client is idle. Ends the session if a stream was left, since nobody would end that. */
async function settled(connection: Connection): Promise<void> {
  const { client } = connection
  const busy = whenIdle(client)
  if (busy === undefined) return
  const { _activeQuery: active } = client as { _activeQuery?: Readable }
  if (active === undefined || !ObservedQuery.isLeft(active)) return busy
  // Some streams close their portal when they are destroyed, and some do not.
  if (!active.closed) await Promise.race([busy, once(active, 'close')])
  if (whenIdle(client)) connection.end(leftStream())
}

/** The connection whose physical client the code in `scope` has from withClient() already. */
export function lentConnection(
  scope: Scope | undefined,
  database: Database,
): Connection | undefined {
  for (let at = scope; at !== undefined; at = at.parent) {
    if (at.database !== database || at.kind !== 'client') continue
    const connection = at.handle as Connection
    if (connection.clientScope === at) return connection
  }
  return undefined
}
