import {
  ControlStatementError,
  describe,
  notSent,
  TransactionClosedError,
  TransactionOptionError,
} from '../errors.ts'
import type { ControlCommand, TransactionModes } from '../sql/control-command.ts'
import type { Frame } from '../transaction/frame.ts'
import { narrowing } from '../transaction/modes.ts'
import { originAbove } from '../transaction/origin.ts'
import type { Link } from '../transaction/scope.ts'
import type { Connection } from './connection.ts'
import type { Database } from './database.ts'
import type { Lease } from './lease.ts'
import { acknowledged, isServerError, type QueryResult } from './pg.ts'
import { inAnObject, inOthersHands, snapshotInside } from './refusals.ts'
import type { Statement } from './statement.ts'

/** A control command, who sent it, and where it arrived. */
interface Request {
  readonly statement: Statement
  readonly command: ControlCommand
  readonly lease: Lease | undefined
  /** The frame that a statement of this sender belongs to. */
  readonly frame: Frame | undefined
  readonly link: Link | undefined
}

/**
 * Does what a control command asks for: by moving the stack, which decides what is sent. Gives
 * `undefined` for a command that is to be sent like any other statement.
 */
export function control(database: Database, request: Request): Promise<QueryResult> | undefined {
  const { command, lease, statement } = request
  if (statement.isSubmittable) return refuse(inAnObject(statement))
  if (command.kind === 'malformed' || (command.kind === 'several' && isOpening(lease))) {
    const near = command.kind === 'several' ? ';' : command.near
    const error = new TransactionOptionError(
      `${JSON.stringify(request.statement.text)} is not a command that PostgreSQL takes, near "${near}". Nothing was sent`,
    )
    if (lease !== undefined && lease.phase !== 'body') lease.refusal = error
    return refuse(error)
  }
  if (lease === undefined || lease.kind === 'plain' || lease.phase === 'body') {
    return byHand(database, request)
  }
  const done = ofItsLayer(database, request, lease) ?? byHand(database, request)
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
  { command, link }: Request,
  lease: Lease,
): Promise<QueryResult> | undefined {
  const { opened, joined, layer, connection } = lease
  switch (command.kind) {
    case 'begin':
    case 'savepoint':
      if (opened !== undefined || joined !== undefined) return undefined
      return open(database, lease, modesOf(command, lease), command.kind === 'begin', link)
    case 'commit':
    case 'release':
      if (joined !== undefined) return leave(lease, joined)
      if (opened === undefined || !owns(lease, command)) return undefined
      return connection.transactions.keep(opened, layer)
    case 'rollback':
    case 'rollback-to':
      if (joined !== undefined) {
        joined.doomed ??= { cause: joined.thrown?.error }
        joined.thrown = undefined
        return leave(lease, joined)
      }
      if (opened === undefined || !owns(lease, command)) return undefined
      return connection.transactions.undo(opened, layer)
    default:
      return undefined
  }
}

/** A controlled transaction ends with COMMIT and ROLLBACK; its savepoints are marks like any other. */
function owns(lease: Lease, command: ControlCommand): boolean {
  return lease.kind === 'block' || command.kind === 'commit' || command.kind === 'rollback'
}

async function open(
  database: Database,
  lease: Lease,
  modes: TransactionModes,
  begun: boolean,
  link: Link | undefined,
): Promise<QueryResult> {
  const { connection, layer, parent } = lease
  const around = lease.link === undefined ? link : lease.link.parent
  if (begun && parent !== undefined && lease.joins) {
    join(database, lease, parent, modes)
    return acknowledged('BEGIN')
  }
  const scoped = lease.kind === 'block'
  const { origin, signal } = lease
  await connection.transactions.open(
    parent,
    { layer, scoped, begun, modes, around, origin, signal },
    (frame) => {
      database.opened(frame, connection)
      lease.opened = frame
      if (lease.link !== undefined && scoped) lease.link.frame = frame
      return lease.giveBack
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
  lease.joined = parent
  if (lease.link === undefined || lease.kind !== 'block') return
  lease.link.frame = parent
  parent.guests.add(lease.link)
}

/** A block that has joined a frame is over: that may end now. */
function leave({ connection, link }: Lease, joined: Frame): Promise<QueryResult> {
  if (link !== undefined) joined.guests.delete(link)
  connection.turns.pass(notSent)
  return Promise.resolve(acknowledged('COMMIT'))
}

function modesOf(command: ControlCommand, lease: Lease): TransactionModes {
  return { ...lease.modes, ...(command.kind === 'begin' && command.modes) }
}

/** What a user sends by hand, on a client, a handle or the pool. */
function byHand(database: Database, request: Request): Promise<QueryResult> | undefined {
  const { command, frame, link, statement } = request
  const connection = frame && database.connectionOf(frame)
  switch (command.kind) {
    case 'begin':
      return beginByHand(database, request, command.modes)
    case 'savepoint':
      return connection?.transactions
        .open(
          frame,
          {
            layer: statement.layer,
            scoped: false,
            begun: false,
            name: command.name,
            around: link,
            origin: originAbove(control),
          },
          () => undefined,
        )
        .then(() => acknowledged('SAVEPOINT'))
    case 'commit':
    case 'rollback':
      return endByHand(request, command.chain, command.kind, connection)
    case 'release':
    case 'rollback-to':
      return connection && moveToSavepoint(request, command.name, command.kind, connection)
    case 'set-transaction':
      return connection?.execute(statement, frame, link).then((result) => {
        if (frame !== undefined) Object.assign(frame, command.modes)
        return result
      })
    case 'set-snapshot':
      if (frame?.parent === undefined) return undefined
      return refuse(snapshotInside(frame))
    case 'prepare-transaction':
    case 'several':
      if (frame === undefined) return undefined
      return refuse(inOthersHands(statement, frame))
    default:
      return undefined
  }
}

async function beginByHand(
  database: Database,
  { frame, lease, link, statement }: Request,
  modes: TransactionModes,
): Promise<QueryResult> {
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
      around: link,
      origin: originAbove(control),
    },
    (opened) => {
      database.opened(opened, connection)
      if (frame === undefined && lease !== undefined) lease.opened = opened
      return undefined
    },
  )
  return acknowledged(frame === undefined ? 'BEGIN' : 'SAVEPOINT')
}

function endByHand(
  { frame, lease, statement }: Request,
  chain: boolean,
  kind: 'commit' | 'rollback',
  connection: Connection | undefined,
): Promise<QueryResult> | undefined {
  if (frame === undefined || connection === undefined) return undefined
  if (chain) return refuse(inOthersHands(statement, frame))
  const { transactions } = connection
  const begun = frame.ended
    ? frame
    : connection.stack.frames.findLast(
        (inner) => inner.begun && !inner.scoped && inner.isInside(frame),
      )
  if (begun?.scoped === false) {
    if (lease?.opened === begun) forget(lease, begun)
    return transactions[kind === 'commit' ? 'keep' : 'undo'](begun, statement.layer)
  }
  if (kind === 'commit') return refuse(inOthersHands(statement, frame))
  const { root } = frame
  if (root.state === 'committed' || root.state === 'unknown') {
    return refuse(new TransactionClosedError(root, 'ROLLBACK was not sent'))
  }
  // mirrored: the block that holds the transaction will find it rolled back
  return transactions.undo(frame.root, statement.layer)
}

/** The transaction of a client by hand is ending: the client can be used again behind that. */
function forget(lease: Lease, frame: Frame): void {
  lease.opened = undefined
  if (frame.ended) return
  lease.closing = lease.connection.transactions.endings.whenEnded(frame).then(() => {
    lease.closing = undefined
  })
}

function moveToSavepoint(
  { frame, statement }: Request,
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
    return refuse(inOthersHands(statement, target.scoped ? target : frame))
  }
  return kind === 'release'
    ? connection.transactions.keep(target, statement.layer)
    : connection.transactions.undoTo(target, statement.layer)
}

function refuse(error: Error): Promise<never> {
  return Promise.reject(error)
}
