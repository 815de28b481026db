import { TransactionOptionError } from '../errors.ts'
import { describe, notSent } from '../transaction/frame-errors.ts'
import type { ControlCommand, TransactionModes } from '../sql/control-command.ts'
import type { Frame } from '../transaction/frame.ts'
import { narrowing } from '../transaction/modes.ts'
import type { Scope } from '../transaction/scope.ts'
import { aborted, unknown } from '../connection/commit.ts'
import { manualControl, type ControlRequest } from './manual-control.ts'
import type { Database } from './database.ts'
import type { Lease } from './lease.ts'
import { acknowledged, isServerError, type QueryResult } from '../protocol/pg.ts'
import { queryObjectError } from './control-errors.ts'

/**
 * Does what a control command asks for: by moving the stack, which decides what is sent. Gives
 * `undefined` for a command that is to be sent like any other statement.
 */
export function control(
  database: Database,
  request: ControlRequest,
): Promise<QueryResult> | undefined {
  const { command, lease, statement } = request
  if (statement.isSubmittable) return refuse(queryObjectError(statement))
  if (command.kind === 'malformed' || (command.kind === 'several' && isOpening(lease))) {
    const near = command.kind === 'several' ? ';' : command.near
    const error = new TransactionOptionError(
      `${JSON.stringify(request.statement.text)} is not a command that PostgreSQL takes, near "${near}". Nothing was sent`,
    )
    if (lease !== undefined && lease.phase !== 'body') lease.refusal = error
    return refuse(error)
  }
  if (lease === undefined || lease.kind === 'plain' || lease.phase === 'body') {
    return manualControl(database, request)
  }
  const done = ofItsLayer(database, request, lease) ?? manualControl(database, request)
  return done?.catch((error: unknown) => {
    // errors of PostgreSQL reach the caller as the layer gives them; all others as they are
    if (!isServerError(error)) lease.refusal = error
    throw error
  })
}

/** Whether the layer is about to open the lease's frame: an option can smuggle nothing in there. */
function isOpening(lease: Lease | undefined): boolean {
  return lease !== undefined && lease.kind !== 'plain' && lease.opened === undefined
}

/** The layer's own commands, which open and end the frame of its block. */
function ofItsLayer(
  database: Database,
  { command, scope }: ControlRequest,
  lease: Lease,
): Promise<QueryResult> | undefined {
  const { opened, joined, layer, connection } = lease
  switch (command.kind) {
    case 'begin':
    case 'savepoint':
      if (opened !== undefined || joined !== undefined) return undefined
      return open(database, lease, modesOf(command, lease), command.kind === 'begin', scope)
    case 'commit':
    case 'release':
      if (joined !== undefined) return leave(lease, joined).then(() => told(joined))
      if (opened === undefined || !owns(lease, command)) return undefined
      return connection.transactions.commit(opened, layer)
    case 'rollback':
    case 'rollback-to':
      if (joined !== undefined) {
        joined.rollbackOnly ??= { cause: joined.blockError?.error }
        joined.blockError = undefined
        return leave(lease, joined)
      }
      if (opened === undefined || !owns(lease, command)) return undefined
      return connection.transactions.rollback(opened, layer)
    default:
      return undefined
  }
}

/** A controlled transaction ends with COMMIT and ROLLBACK; its savepoints are marks like any other. */
function owns(lease: Lease, command: ControlCommand): boolean {
  if ('chain' in command && command.chain) return false
  return lease.kind === 'block' || command.kind === 'commit' || command.kind === 'rollback'
}

async function open(
  database: Database,
  lease: Lease,
  modes: TransactionModes,
  begun: boolean,
  scope: Scope | undefined,
): Promise<QueryResult> {
  const { connection, layer, parent } = lease
  const around = lease.scope === undefined ? scope : lease.scope.parent
  if (begun && parent !== undefined && lease.joins) {
    join(database, lease, parent, modes)
    return acknowledged('BEGIN')
  }
  const scoped = lease.kind === 'block'
  const { callSite, signal } = lease
  await connection.transactions.open(
    parent,
    { layer, scoped, begun, modes, around, callSite, signal },
    (frame) => {
      lease.opened = frame
      if (lease.scope !== undefined && scoped) lease.scope.frame = frame
      return lease.releaseAtEnd
    },
  )
  return acknowledged(parent === undefined ? 'BEGIN' : 'SAVEPOINT')
}

/** Lets a block work in the frame that is open, instead of opening one. */
function join(database: Database, lease: Lease, parent: Frame, modes: TransactionModes): void {
  const narrow = narrowing(modes, parent, database.settings.defaultIsolationLevel)
  if (narrow !== undefined) {
    throw new TransactionOptionError(
      `asked for ${narrow} in a block that joins ${describe(parent)}, which may write. Only a savepoint can be narrowed`,
    )
  }
  const refusal = lease.connection.refusal(parent, lease.scope?.parent)
  if (refusal !== undefined) throw refusal
  lease.joined = parent
  if (lease.scope === undefined || lease.kind !== 'block') return
  lease.scope.frame = parent
  parent.join(lease.scope, lease.callSite ?? {})
}

/** What a block that joined a frame is told at its end: what has become of that, if it is known. */
function told(joined: Frame): QueryResult {
  const { finalState } = joined
  if (!joined.ended || finalState === 'committed' || finalState === 'released')
    return acknowledged('COMMIT')
  throw finalState === 'unknown' ? unknown(joined, joined.failure) : aborted(joined)
}

/** A block that has joined a frame is over: that may end now. */
function leave({ connection, scope }: Lease, joined: Frame): Promise<QueryResult> {
  if (scope !== undefined) joined.leave(scope)
  connection.turns.advance(notSent)
  return Promise.resolve(acknowledged('COMMIT'))
}

const NO_MODES: TransactionModes = {}

function modesOf(command: ControlCommand, lease: Lease): TransactionModes {
  const asked = command.kind === 'begin' ? command.modes : NO_MODES
  return lease.modes === undefined ? asked : { ...lease.modes, ...asked }
}

function refuse(error: Error): Promise<never> {
  return Promise.reject(error)
}
