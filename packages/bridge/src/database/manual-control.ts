import { ControlStatementError } from '../errors.ts'
import type { ControlCommand, TransactionModes } from '../sql/control-command.ts'
import type { Frame } from '../transaction/frame.ts'
import { callSiteAbove } from '../transaction/call-site.ts'
import { closedError } from '../transaction/frame-errors.ts'
import type { Scope } from '../transaction/scope.ts'
import type { Connection } from '../connection/connection.ts'
import { whenEnded } from '../connection/run-hooks.ts'
import type { Lease } from './lease.ts'
import { acknowledged, type QueryResult } from '../protocol/pg.ts'
import { notOwnedError, rolledBackManually, snapshotInside } from './control-errors.ts'
import type { Statement } from '../wire/statement.ts'

/** A control command with its sender and its place. */
export interface ControlRequest {
  readonly statement: Statement
  readonly command: ControlCommand
  readonly lease: Lease | undefined
  /** The frame that a statement of this sender belongs to. */
  readonly frame: Frame | undefined
  /** The connection on which that frame is open. */
  readonly connection: Connection | undefined
  /** The scope of the calling code. */
  readonly scope: Scope | undefined
}

/** How many functions of the bridge stand between the call of the user and the capture of its call site. */
const OWN_FUNCTIONS = 6

/** Obeys a control command that a user sends manually: on a client, a handle or the pool. */
export function manualControl(request: ControlRequest): Promise<QueryResult> | undefined {
  const { command, connection, frame, scope, statement } = request
  switch (command.kind) {
    case 'begin':
      return beginManually(request, command.modes)
    case 'savepoint':
      return connection?.transactions
        .open(
          frame,
          {
            layer: statement.layer,
            scoped: false,
            begun: false,
            name: command.name,
            around: scope,
            callSite: callSiteAbove(OWN_FUNCTIONS),
          },
          () => undefined,
        )
        .then(() => acknowledged('SAVEPOINT'))
    case 'commit':
    case 'rollback':
      return endManually(request, command.kind, command.chain)
    case 'release':
    case 'rollback-to':
      return connection && moveToSavepoint(request, command.name, command.kind, connection)
    case 'set-transaction':
      return connection && setTransaction(request, command.modes, connection)
    case 'set-snapshot':
      if (frame?.parent === undefined) return undefined
      return refuse(snapshotInside(frame))
    case 'prepare-transaction':
    case 'several':
      if (frame === undefined) return undefined
      return refuse(notOwnedError(statement, frame))
    default:
      return undefined
  }
}

async function beginManually(
  { connection, frame, lease, scope, statement }: ControlRequest,
  modes: TransactionModes,
): Promise<QueryResult> {
  const home = connection ?? lease?.connection
  if (home === undefined) {
    throw new ControlStatementError(
      `${JSON.stringify(statement.text)} was sent to the pool, which would open a transaction that belongs to nobody. ` +
        'Use transaction() of a layer, shared.transaction(), or a client from pool.connect(). Nothing was sent',
    )
  }
  await home.transactions.open(
    frame,
    {
      layer: statement.layer,
      scoped: false,
      begun: true,
      modes,
      around: scope,
      callSite: callSiteAbove(OWN_FUNCTIONS),
    },
    (opened) => {
      if (frame === undefined && lease !== undefined) {
        lease.transaction = { role: 'owner', frame: opened }
      }
      return undefined
    },
  )
  return acknowledged(frame === undefined ? 'BEGIN' : 'SAVEPOINT')
}

function endManually(
  { connection, frame, lease, statement }: ControlRequest,
  kind: 'commit' | 'rollback',
  chain: boolean,
): Promise<QueryResult> | undefined {
  if (frame === undefined || connection === undefined) return undefined
  if (chain) return refuse(notOwnedError(statement, frame))
  const { stack, transactions } = connection
  const begun = frame.ended
    ? frame
    : stack.frames.findLast((inner) => inner.begun && !inner.scoped && inner.isInside(frame))
  if (begun?.scoped === false) {
    if (lease?.opened === begun) letGo(lease, begun)
    return transactions[kind](begun, statement.layer)
  }
  if (kind === 'commit') return refuse(notOwnedError(statement, frame))
  const { root } = frame
  if (root.phase === 'committed' || root.phase === 'unknown') {
    return refuse(closedError(root, 'ROLLBACK was not sent'))
  }
  // The block that holds the transaction will find it rolled back.
  const reason = rolledBackManually(statement, root)
  return transactions.rollback(root, statement.layer).then((result) => {
    root.failure ??= reason
    return result
  })
}

/** The modes belong to the mark that the command is sent in, and end with it. */
async function setTransaction(
  { frame, scope, statement }: ControlRequest,
  modes: TransactionModes,
  connection: Connection,
): Promise<QueryResult> {
  const inside = frame && connection.stack.innermostOf(frame)
  const result = await connection.execute(statement, frame, scope)
  if (inside !== undefined) inside.modes = { ...inside.modes, ...modes }
  return result
}

/** The manual transaction of a client is ending: the client can be used again after that. */
function letGo(lease: Lease, frame: Frame): void {
  lease.transaction = undefined
  if (!frame.ended) waitFor(lease, whenEnded(frame))
}

function moveToSavepoint(
  { frame, lease, statement }: ControlRequest,
  name: string,
  kind: 'release' | 'rollback-to',
  connection: Connection,
): Promise<QueryResult> | undefined {
  const target = connection.stack.find(name)
  // The server knows no such savepoint either, and says so.
  if (target === undefined || frame === undefined || frame.ended) return undefined
  const scopedBetween = connection.stack.frames
    .slice(target.depth)
    .some((inner) => inner.scoped && frame.isInside(inner))
  if (target.scoped || (kind === 'release' && scopedBetween)) {
    return refuse(notOwnedError(statement, target.scoped ? target : frame))
  }
  const { transactions, dispatcher } = connection
  if (kind === 'rollback-to') return transactions.rollbackTo(target, statement.layer)
  const isBusy = !dispatcher.isIdle
  const released = transactions.commit(target, statement.layer)
  if (isBusy && lease !== undefined) waitFor(lease, released)
  return released
}

/** Lets statements that are sent through a lease wait until a frame of it has ended. */
function waitFor(lease: Lease, ending: Promise<unknown>): void {
  const over = (): void => {
    lease.closing = undefined
  }
  lease.closing = ending.then(over, over)
}

function refuse(error: Error): Promise<never> {
  return Promise.reject(error)
}
