import { TransactionOptionError } from '../errors.ts'
import { acknowledged, type QueryResult } from '../protocol/pg.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import {
  abortedError,
  describe,
  notSent,
  outcomeUnknownError,
  placeOf,
} from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { narrowing } from '../transaction/modes.ts'
import type { Scope } from '../transaction/scope.ts'
import type { Lease } from './lease.ts'

/**
 * Begins the transaction of a lease: BEGIN, or SAVEPOINT where one is open, or nothing where the lease
 * joins it. `begun`: the layer has asked for it by BEGIN. `scope` is that of the calling code.
 */
export async function begin(
  lease: Lease,
  asked: TransactionModes,
  begun: boolean,
  scope: Scope | undefined,
): Promise<QueryResult> {
  const { callSite, connection, kind, layer, parent, signal } = lease
  const modes = lease.modes === undefined ? asked : { ...lease.modes, ...asked }
  if (begun && parent !== undefined && lease.joins) {
    join(lease, parent, modes)
    return acknowledged('BEGIN')
  }
  const around = lease.scope === undefined ? scope : lease.scope.parent
  const scoped = kind === 'block'
  await connection.transactions.open(
    parent,
    { layer, scoped, begun, modes, around, callSite, signal },
    (frame) => {
      lease.transaction = { role: 'owner', frame }
      if (lease.scope !== undefined && scoped) lease.scope.frame = frame
      return parent === undefined ? lease.releaseAtEnd : undefined
    },
  )
  return acknowledged(parent === undefined ? 'BEGIN' : 'SAVEPOINT')
}

/** Commits the transaction of a lease: COMMIT or RELEASE, or nothing where the lease has joined it. */
export async function commit(lease: Lease): Promise<QueryResult> {
  const { connection, layer, transaction } = lease
  if (transaction === undefined) return acknowledged('COMMIT')
  const { frame, role } = transaction
  if (role === 'owner') return connection.transactions.commit(frame, layer)
  leave(lease, frame)
  return answerOf(frame)
}

/**
 * Rolls the transaction of a lease back: ROLLBACK or ROLLBACK TO. Where the lease has joined it, whoever
 * owns it will roll it back.
 */
export async function rollback(lease: Lease): Promise<QueryResult> {
  const { connection, layer, transaction } = lease
  if (transaction === undefined) return acknowledged('ROLLBACK')
  const { frame, role } = transaction
  if (role === 'owner') return connection.transactions.rollback(frame, layer)
  frame.markRollbackOnly(frame.blockError?.error)
  frame.blockError = undefined
  leave(lease, frame)
  return acknowledged('ROLLBACK')
}

/** Lets a block work in the frame that is open, instead of opening one. */
function join(lease: Lease, parent: Frame, modes: TransactionModes): void {
  const { callSite, connection, scope } = lease
  const narrow = narrowing(modes, parent, connection.settings.defaultIsolationLevel, callSite)
  if (narrow !== undefined) {
    throw new TransactionOptionError(
      `asked for ${narrow} in a block that joins ${describe(parent)}, which may write. ` +
        `Only a savepoint can be narrowed: use propagation "nested". ${placeOf(parent, callSite)}`,
    )
  }
  const closed = connection.closedError(parent, scope?.parent)
  if (closed !== undefined) throw closed
  lease.transaction = { role: 'participant', frame: parent }
  if (scope === undefined || lease.kind !== 'block') return
  scope.frame = parent
  parent.join(scope, callSite ?? {})
}

/** The answer to the COMMIT of a block that has joined a frame: the outcome of the frame, if it is known. */
function answerOf(joined: Frame): QueryResult {
  const { ended, finalState } = joined
  if (!ended || finalState === 'committed' || finalState === 'released') {
    return acknowledged('COMMIT')
  }
  throw finalState === 'unknown'
    ? outcomeUnknownError(joined, joined.failure)
    : abortedError(joined)
}

/** A block that has joined a frame is over, so the frame may end now. */
function leave({ connection, scope }: Lease, joined: Frame): void {
  if (scope !== undefined) joined.leave(scope)
  connection.turns.advance(notSent)
}
