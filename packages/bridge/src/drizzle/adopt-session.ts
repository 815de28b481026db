import { NodePgTransaction } from 'drizzle-orm/node-postgres'
import { InvalidArgumentError } from '../errors.ts'

import { dispatch } from '../database/query-call.ts'
import type { Database } from '../database/database.ts'
import { bind } from '../database/handles.ts'
import type { Lease, LeaseOptions } from '../database/lease.ts'
import { replace } from '../adoption/replace.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import { checkModes } from '../transaction/modes.ts'
import { callSiteAbove } from '../transaction/call-site.ts'
import { currentScope } from '../transaction/scope.ts'
import { adoptCache, cacheForLease } from './cache.ts'
import type { Internals, Session, Tx } from './types.ts'
import { kindOf } from '../wording.ts'

const ENTITY_KIND = Symbol.for('drizzle:entityKind')

/** The client of a Drizzle session. */
class SharedClient {
  readonly database: Database
  /** The lease of the handle whose session it is; nothing for that of the database itself. */
  readonly lease: Lease | undefined

  constructor(database: Database, lease?: Lease) {
    this.database = database
    this.lease = lease
  }

  query(...args: unknown[]): unknown {
    return dispatch(this.database, 'drizzle', args, currentScope(), this.lease)
  }
}

/**
 * Lets the statements and transactions of a Drizzle database go through the bridge, as those of the
 * layer `drizzle`. Returns a function that undoes it.
 */
export function adoptSession(orm: unknown, database: Database): () => void {
  const session = sessionOf(orm)
  const { transaction } = session
  const forgetCache = adoptCache(orm as Internals, session, database)
  const restore = replace(session, {
    client: new SharedClient(database),
    transaction: begin,
  })
  function begin(this: Session, fn: (tx: Tx) => unknown, config?: unknown): Promise<unknown> {
    // Code that has wrapped it still calls it after dispose().
    if (database.isDisposed) return transaction.call(this, fn, config)
    const { lease: outer } = this.client as SharedClient
    const options = leaseOptions(database, outer, { callSite: callSiteAbove(1) })
    return runBlock(database, fn, options, (lease, body) =>
      transaction.call(sessionFor(this, database, lease), body, config),
    )
  }
  return () => {
    restore()
    forgetCache()
  }
}

/** The session of a Drizzle database on node-postgres. Throws for anything else. */
export function sessionOf(orm: unknown): Session {
  const session = (orm as Partial<Internals> | null | undefined)?._?.session
  if (session === undefined || typeof session !== 'object') {
    throw new InvalidArgumentError(
      `expected a Drizzle database, got ${kindOf(orm)}. Give what drizzle(…) of drizzle-orm/node-postgres has made`,
    )
  }
  const kind = (session as object as { constructor: Record<symbol, unknown> }).constructor[
    ENTITY_KIND
  ]
  if (kind !== 'NodePgSession') {
    throw new InvalidArgumentError(
      `expected a Drizzle database on node-postgres, got one on another driver (${String(kind)}). ` +
        'Make it with drizzle(…) of drizzle-orm/node-postgres',
    )
  }
  if (!('$client' in (orm as object))) {
    throw new InvalidArgumentError(
      `expected a Drizzle database, got ${kindOf(orm)}, which is a transaction or a part of one. Give the database that it is made from`,
    )
  }
  return session
}

/** A Drizzle handle for the transaction of a lease, which another layer may have begun. */
export function drizzleForLease(orm: unknown, database: Database, lease: Lease): Tx {
  const { dialect } = orm as Internals
  const session = sessionOf(orm)
  const Transaction = NodePgTransaction as unknown as new (
    dialect: unknown,
    session: Session,
    schema: unknown,
    nestedIndex: number,
    parseJson: boolean,
  ) => Tx
  const tx = new Transaction(
    dialect,
    sessionFor(session, database, lease),
    session.schema ?? session.relations,
    0,
    false,
  )
  return nesting(tx, database, lease)
}

/** Runs `call`, a `transaction()` of Drizzle's own, as a block. The handle of its callback can nest. */
function runBlock(
  database: Database,
  fn: (tx: Tx) => unknown,
  options: LeaseOptions,
  call: (lease: Lease, body: (tx: Tx) => Promise<unknown>) => Promise<unknown>,
): Promise<unknown> {
  return database.block(options, (lease) =>
    call(lease, (tx) => database.body(lease, () => fn(nesting(tx, database, lease)))),
  )
}

/**
 * Makes a handle nest through the bridge. Drizzle's nested handles share one session and client, so
 * the bridge could not tell to which handle a statement belongs.
 */
function nesting(tx: Tx, database: Database, lease: Lease): Tx {
  const { transaction } = tx
  bind(tx, { database, lease })
  tx.transaction = nest
  async function nest(fn: (tx: Tx) => unknown, config?: TransactionModes): Promise<unknown> {
    // Drizzle itself ignores the options of a nested call
    if (config !== undefined && config !== null) checkModes(config)
    const callSite = callSiteAbove(1)
    const options = leaseOptions(database, lease, { modes: config, callSite })
    return runBlock(database, fn, options, (inner, body) => {
      const session = { value: sessionFor(tx.session, database, inner) }
      return transaction.call(Object.create(tx, { session }) as Tx, body)
    })
  }
  return tx
}

/** A block on a handle is a savepoint in the frame of the handle, or of a scope inside that. */
function leaseOptions(
  database: Database,
  lease: Lease | undefined,
  rest: Pick<LeaseOptions, 'callSite' | 'modes'>,
): LeaseOptions {
  if (lease === undefined) return { layer: 'drizzle', ...rest }
  const parent = database.frameOf(lease, currentScope())
  return { layer: 'drizzle', parent, joins: false, ...rest }
}

function sessionFor(session: Session, database: Database, lease: Lease): Session {
  const cache = cacheForLease(session, lease)
  // Not by assignment, which fails where the session is frozen.
  return Object.create(session, {
    client: { value: new SharedClient(database, lease) },
    ...(cache !== undefined && { cache: { value: cache } }),
  }) as Session
}
