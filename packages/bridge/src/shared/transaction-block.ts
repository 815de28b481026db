import type { DrizzleLike, DrizzleTransaction } from '../drizzle/types.ts'
import { PropagationError, Rollback, TransactionOptionError } from '../errors.ts'
import { isError } from '../brand.ts'
import { describe, placeOf } from '../transaction/frame-errors.ts'
import type { TransactionFrame } from './frame-view.ts'
import type { ExtendedKysely, SharedTransaction } from '../kysely/types.ts'
import { cancelFrame, cancelJoined } from '../connection/cancel-frame.ts'
import type { Database } from '../database/database.ts'
import { begin, commit, rollback } from '../database/lease-transaction.ts'
import type { Lease, LeaseOptions } from '../database/lease.ts'
import { orAborted } from './or-aborted.ts'
import { isServerError } from '../protocol/pg.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import type { Frame } from '../transaction/frame.ts'
import { type CallSite, callSiteAbove } from '../transaction/call-site.ts'
import { currentScope } from '../transaction/scope.ts'
import { AbortScope } from './abort-scope.ts'
import { assertFunction } from './assert-function.ts'
import { retrying } from './retry.ts'
import {
  type MaybeOptions,
  optionsOf,
  type Propagation,
  type TransactionOptions,
} from './transaction-options.ts'

/** The argument of the callback of `shared.transaction()`. It can be destructured. */
export interface TransactionContext<O extends DrizzleLike, DB, Shared> {
  /** Drizzle's handle of the transaction. */
  readonly tx: DrizzleTransaction<O>
  /** Kysely's handle of the transaction. */
  readonly trx: SharedTransaction<DB, Shared>
  /** The frame of the block: its depth, state and hooks, and `rollbackOnExit()`. */
  readonly frame: TransactionFrame
  /** Aborted when its `signal` or `timeout` ends the block or a block around it. */
  readonly signal: AbortSignal
}

/** The argument of the callback of `shared.transaction()` if its propagation may result in no transaction. */
export interface MaybeContext<O extends DrizzleLike, DB, Shared> {
  /** Drizzle's handle of the transaction; without a transaction, the Drizzle database. */
  readonly tx: DrizzleTransaction<O> | O
  /** Kysely's handle of the transaction; without a transaction, the Kysely database. */
  readonly trx: SharedTransaction<DB, Shared> | ExtendedKysely<DB, Shared>
  /** The frame of the transaction; `undefined` without one. */
  readonly frame: TransactionFrame | undefined
}

/** The argument of the callback of `shared.transaction()` for a propagation. */
export type TransactionContextFor<P extends Propagation, O extends DrizzleLike, DB, Shared> = [
  P,
] extends [NonNullable<TransactionOptions['propagation']>]
  ? TransactionContext<O, DB, Shared>
  : MaybeContext<O, DB, Shared>

/** Makes the argument of the callback, for a lease or for no transaction. */
export type ContextOf<C> = (lease: Lease | undefined) => C

/** Implements `shared.transaction()`. */
export async function runTransaction<T, C>(
  database: Database,
  contextOf: ContextOf<C>,
  fn: (context: C) => Promise<T> | T,
  given?: TransactionOptions | MaybeOptions,
): Promise<T> {
  assertFunction(fn, 'shared.transaction()')
  const { ambient } = database
  const { propagation, modes, signal, timeout, retry } = optionsOf(given)
  assertAllowed(propagation, ambient)
  const isWithout = propagation === 'not-supported' || propagation === 'never'
  if (isWithout || (propagation === 'supports' && ambient === undefined)) {
    return database.outside(async () => fn(contextOf(undefined)))
  }
  const around = propagation === 'requires-new' ? undefined : ambient
  if (retry !== undefined && around !== undefined) throw retryInside(around)

  const isLimited = signal !== undefined || timeout !== undefined
  const callSite = callSiteAbove(2)
  const scope = isLimited ? new AbortScope([signal, around?.signal], timeout, callSite) : undefined
  const options = leaseOptions(propagation, callSite, scope?.signal)
  const attempt = (onOpen?: (frame: Frame | undefined) => void): Promise<T> =>
    database.block(options, async (lease) => {
      const work = runBlock(database, lease, modes, () => {
        onOpen?.(lease.opened)
        scope?.signal.throwIfAborted()
        return fn(contextOf(lease))
      })
      return scope === undefined ? work : endable(lease, work, scope.signal)
    })
  try {
    scope?.signal.throwIfAborted()
    if (retry === undefined) return await attempt()
    return await retrying(retry, scope?.signal, attempt)
  } finally {
    scope?.end()
  }
}

function leaseOptions(
  propagation: Propagation,
  callSite: CallSite,
  signal: AbortSignal | undefined,
): LeaseOptions {
  const isOwn = propagation === 'requires-new'
  const joins = propagation !== 'nested' && !isOwn
  return { layer: 'shared', joins, signal, callSite, ...(isOwn && { parent: null }) }
}

/** Refuses a propagation that the place does not allow. */
function assertAllowed(propagation: Propagation, ambient: Frame | undefined): void {
  if (propagation === 'mandatory' && ambient === undefined) {
    throw new PropagationError(
      'propagation "mandatory" requires a transaction, but none is open here. ' +
        'Call it inside a transaction, or use propagation "required", which begins one where there is none',
    )
  }
  if (propagation === 'never' && ambient !== undefined) {
    throw new PropagationError(
      `propagation "never" allows no transaction, but ${describe(ambient)} is open here. ` +
        'Call it outside, or use propagation "not-supported", which leaves the transaction for that time. ' +
        placeOf(ambient),
    )
  }
}

async function runBlock<T>(
  database: Database,
  lease: Lease,
  modes: TransactionModes,
  fn: () => Promise<T> | T,
): Promise<T> {
  await begin(lease, modes, true, currentScope())
  try {
    const value = await database.body(lease, fn)
    await commit(lease)
    return value
  } catch (error) {
    await rollback(lease)
    // A joined block does not own the transaction, so its Rollback goes on to the block that does.
    if (error instanceof Rollback && lease.joined === undefined) return error.value as T
    throw error
  }
}

/** Ends the block when the signal is aborted. */
async function endable<T>(lease: Lease, work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { connection } = lease
  let cancelsCommit = false
  try {
    return await orAborted(work, signal, async (reason) => {
      const { joined, scope, opened } = lease
      if (joined !== undefined) cancelJoined(connection, joined, scope, reason)
      if (opened === undefined) return true
      cancelsCommit = opened.phase === 'committing'
      return cancelFrame(connection, opened, reason)
    })
  } catch (error) {
    const cause = isError(error) ? (error.cause ?? error) : error
    // The server has cancelled COMMIT, or a statement that COMMIT waited for.
    const isCancelled = isServerError(cause) && cause.code === QUERY_CANCELED
    if (cancelsCommit && isCancelled && lease.opened?.state === 'rolled-back') throw signal.reason
    throw error
  }
}

/** The SQLSTATE of a cancelled statement. */
const QUERY_CANCELED = '57014'

function retryInside(frame: Frame): TransactionOptionError {
  return new TransactionOptionError(
    `retry was given inside ${describe(frame)}, but only a whole transaction can be repeated. ` +
      `Give it to the outermost shared.transaction(). Nothing was sent. ${placeOf(frame)}`,
  )
}
