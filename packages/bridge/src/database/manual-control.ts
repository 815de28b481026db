import {
  ControlStatementError,
  TransactionAbortedError,
  TransactionClosedError,
} from '../errors.ts'
import type { ControlCommand, TransactionModes } from '../sql/control-command.ts'
import type { Frame } from '../transaction/frame.ts'
import { callSiteAbove } from '../transaction/call-site.ts'
import type { Scope } from '../transaction/scope.ts'
import type { Connection } from '../connection/connection.ts'
import type { Database } from './database.ts'
import { whenEnded } from '../connection/endings.ts'
import type { Lease } from './lease.ts'
import { acknowledged, type QueryResult } from '../protocol/pg.ts'
import { notOwnedError, snapshotInside } from './control-errors.ts'
import type { Statement } from '../wire/statement.ts'

/** A control command, who sent it, and where it arrived. */
export interface ControlRequest {
  readonly statement: Statement
  readonly command: ControlCommand
  readonly lease: Lease | undefined
  /** The frame that a statement of this sender belongs to. */
  readonly frame: Frame | undefined
  readonly scope: Scope | undefined
}

/** How many functions of the bridge a statement goes through before it is found to be one by hand. */
const DISPATCHING = 6

/** What a user sends by hand, on a client, a handle or the pool. */
export function manualControl(
  database: Database,
  request: ControlRequest,
): Promise<QueryResult> | undefined {
  const { command, frame, scope, statement } = request
  const connection = frame && database.connectionOf(frame)
  switch (command.kind) {
    case 'begin':
      return beginManually(database, request, command.modes)
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
            callSite: callSiteAbove(DISPATCHING),
          },
          () => undefined,
        )
        .then(() => acknowledged('SAVEPOINT'))
    case 'commit':
    case 'rollback':
      return endManually(database, request, command.chain, command.kind, connection)
    case 'release':
    case 'rollback-to':
      return connection && moveToSavepoint(request, command.name, command.kind, connection)
    case 'set-transaction': {
      // for the mark that it is sent in: with that it ends
      const inside = frame && connection?.stack.innermostOf(frame)
      return connection?.execute(statement, frame, scope).then((result) => {
        if (inside !== undefined) Object.assign(inside, command.modes)
        return result
      })
    }
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
  database: Database,
  request: ControlRequest,
  modes: TransactionModes,
): Promise<QueryResult> {
  const { frame, lease, scope, statement } = request
  if (frame === undefined && lease === undefined) {
    throw new ControlStatementError(
      `${JSON.stringify(statement.text)} was sent to the pool, which would open a transaction that belongs to nobody. ` +
        'Use transaction() of a layer, shared.transaction(), or a client from pool.connect(). Nothing was sent',
    )
  }
  const connection = frame === undefined ? lease?.connection : database.connectionOf(frame)
  await connection?.transactions.open(
    frame,
    {
      layer: statement.layer,
      scoped: false,
      begun: true,
      modes,
      around: scope,
      callSite: callSiteAbove(DISPATCHING),
    },
    (opened) => {
      if (frame === undefined && lease !== undefined) lease.opened = opened
      return undefined
    },
  )
  return acknowledged(frame === undefined ? 'BEGIN' : 'SAVEPOINT')
}

function endManually(
  database: Database,
  request: ControlRequest,
  chain: boolean,
  kind: 'commit' | 'rollback',
  connection: Connection | undefined,
): Promise<QueryResult> | undefined {
  const { frame, lease, statement } = request
  if (frame === undefined || connection === undefined) return undefined
  const { transactions } = connection
  const begun = frame.ended
    ? frame
    : connection.stack.frames.findLast(
        (inner) => inner.begun && !inner.scoped && inner.isInside(frame),
      )
  if (chain) {
    const isOwn = lease !== undefined && begun !== undefined && lease.opened === begun
    const isPlain = lease?.kind === 'plain'
    if (!isOwn || !isPlain || begun.scoped || begun.ended)
      return refuse(notOwnedError(statement, frame))
    return chainManually(database, request, lease, begun, kind)
  }
  if (begun?.scoped === false) {
    if (lease?.opened === begun) forget(lease, begun)
    return transactions[kind === 'commit' ? 'commit' : 'rollback'](begun, statement.layer)
  }
  if (kind === 'commit') return refuse(notOwnedError(statement, frame))
  const { root } = frame
  if (root.state === 'committed' || root.state === 'unknown') {
    return refuse(new TransactionClosedError(root, 'ROLLBACK was not sent'))
  }
  // mirrored: the block that holds the transaction will find it rolled back
  return transactions.rollback(frame.root, statement.layer)
}

/** AND CHAIN: the next transaction begins with the options of the last. */
function chainManually(
  database: Database,
  request: ControlRequest,
  lease: Lease,
  last: Frame,
  kind: 'commit' | 'rollback',
): Promise<QueryResult> {
  const { transactions } = lease.connection
  const begin = (): Promise<QueryResult> =>
    beginManually(database, { ...request, frame: undefined }, modesOfFrame(last))
  const chain = async (): Promise<QueryResult> => {
    try {
      await transactions[kind === 'commit' ? 'commit' : 'rollback'](last, request.statement.layer)
      return await begin()
    } catch (error) {
      // PostgreSQL goes on in the next one where COMMIT was a rollback, but not where it has failed
      const goesOn = error instanceof TransactionAbortedError && lease.connection.lost === undefined
      if (goesOn) await begin()
      throw error
    } finally {
      lease.closing = undefined
      over.resolve()
    }
  }
  const over = Promise.withResolvers<void>()
  lease.opened = undefined
  // what is sent behind it belongs to the next transaction
  lease.closing = over.promise
  return chain()
}

function modesOfFrame({ isolationLevel, accessMode, deferrable }: Frame): TransactionModes {
  return {
    ...(isolationLevel !== undefined && { isolationLevel }),
    ...(accessMode !== undefined && { accessMode }),
    ...(deferrable !== undefined && { deferrable }),
  }
}

/** The transaction of a client by hand is ending: the client can be used again behind that. */
function forget(lease: Lease, frame: Frame): void {
  lease.opened = undefined
  if (frame.ended) return
  holdBack(lease, whenEnded(frame))
}

function moveToSavepoint(
  { frame, lease, statement }: ControlRequest,
  name: string,
  kind: 'release' | 'rollback-to',
  connection: Connection,
): Promise<QueryResult> | undefined {
  const target = connection.stack.find(name)
  // the server knows no such savepoint either, and says so
  if (target === undefined || frame === undefined || frame.ended) return undefined
  const scopedBetween = connection.stack.frames
    .slice(target.depth)
    .some((inner) => inner.scoped && frame.isInside(inner))
  if (target.scoped || (kind === 'release' && scopedBetween)) {
    return refuse(notOwnedError(statement, target.scoped ? target : frame))
  }
  const { transactions, dispatcher } = connection
  if (kind === 'rollback-to') return transactions.rollbackTo(target, statement.layer)
  const isBusy = !dispatcher.isQuiet
  const kept = transactions.commit(target, statement.layer)
  if (isBusy && lease !== undefined) holdBack(lease, kept)
  return kept
}

/** Lets what is sent through a lease wait behind what ends there. */
function holdBack(lease: Lease, ending: Promise<unknown>): void {
  const over = (): void => {
    lease.closing = undefined
  }
  lease.closing = ending.then(over, over)
}

function refuse(error: Error): Promise<never> {
  return Promise.reject(error)
}
