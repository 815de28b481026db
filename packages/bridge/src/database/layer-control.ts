import { TransactionOptionError } from '../errors.ts'
import { isServerError, type QueryResult } from '../protocol/pg.ts'
import type { ControlCommand, TransactionModes } from '../sql/control-command.ts'
import { queryObjectError } from './control-errors.ts'
import { begin, commit, rollback } from './lease-transaction.ts'
import type { Lease } from './lease.ts'
import { type ControlRequest, manualControl } from './manual-control.ts'

const NO_MODES: TransactionModes = {}

/**
 * Obeys a control command by moving the stack, which decides what is sent. Returns `undefined` for a
 * command that is to be sent like any other statement.
 */
export function control(request: ControlRequest): Promise<QueryResult> | undefined {
  const { command, lease, statement } = request
  if (statement.isSubmittable) return refuse(queryObjectError(statement))
  if (command.kind === 'malformed' || (command.kind === 'several' && isOpening(lease))) {
    const near = command.kind === 'several' ? ';' : command.near
    const error = new TransactionOptionError(
      `${JSON.stringify(request.statement.text)} is not a command that PostgreSQL takes, near "${near}". Nothing was sent`,
    )
    if (lease !== undefined && lease.phase !== 'body') lease.controlError = error
    return refuse(error)
  }
  if (lease === undefined || lease.kind === 'plain' || lease.phase === 'body') {
    return manualControl(request)
  }
  const done = layerControl(request, lease) ?? manualControl(request)
  return done?.catch((error: unknown) => {
    // Errors of PostgreSQL reach the caller as the layer wraps them, all others as they are.
    if (!isServerError(error)) lease.controlError = error
    throw error
  })
}

/** Whether the layer is about to open the lease's frame, where no option may smuggle in a second command. */
function isOpening(lease: Lease | undefined): boolean {
  return lease !== undefined && lease.kind !== 'plain' && lease.opened === undefined
}

/** The layer's own commands, which open and end the frame of its block. */
function layerControl(
  { command, scope }: ControlRequest,
  lease: Lease,
): Promise<QueryResult> | undefined {
  switch (command.kind) {
    case 'begin':
      if (lease.transaction !== undefined) return undefined
      return begin(lease, command.modes, true, scope)
    case 'savepoint':
      if (lease.transaction !== undefined) return undefined
      return begin(lease, NO_MODES, false, scope)
    case 'commit':
    case 'release':
      return ends(lease, command) ? commit(lease) : undefined
    case 'rollback':
    case 'rollback-to':
      return ends(lease, command) ? rollback(lease) : undefined
    default:
      return undefined
  }
}

/**
 * Whether a command ends the transaction of the lease. A controlled transaction ends with COMMIT and
 * ROLLBACK; its savepoints are marks like any other.
 */
function ends({ kind, transaction }: Lease, command: ControlCommand): boolean {
  if (transaction === undefined) return false
  if (transaction.role === 'participant') return true
  if ('chain' in command && command.chain) return false
  return kind === 'block' || command.kind === 'commit' || command.kind === 'rollback'
}

function refuse(error: Error): Promise<never> {
  return Promise.reject(error)
}
