import { publishSavepoint, TransactionTrace } from '../instrumentation/traces.ts'
import { beginSql, savepointSql } from '../sql/control-sql.ts'
import { assertNotAborted, closedError } from '../transaction/frame-errors.ts'
import type { Frame, FrameOptions } from '../transaction/frame.ts'
import { checkModes, narrowing } from '../transaction/modes.ts'
import { Statement } from '../wire/statement.ts'
import { finish } from './run-hooks.ts'
import type { Session } from './session.ts'

/**
 * Called with a frame at the moment it opens: what is sent right behind that belongs to the frame.
 * Returns the function that releases the client at the end of the transaction, if one is to be called.
 */
export type OnOpen = (frame: Frame) => (() => Promise<void> | undefined) | undefined

/** Opens a transaction. BEGIN is deferred to the first statement, unless `lazy` is off. */
export async function beginTransaction(
  session: Session,
  options: FrameOptions,
  onOpen: OnOpen,
): Promise<Frame> {
  const modes = options.modes ?? {}
  checkModes(modes)
  const { stack, settings, id } = session
  const { root } = stack
  if (root !== undefined) throw closedError(root, 'BEGIN comes too early')
  const frame = stack.push({ ...options, modes, database: settings.name, session })
  const trace = TransactionTrace.start(settings.name, frame, id)
  const release = onOpen(frame)
  // Assigned through a variable: V8 puts a function literal that is assigned to a property into old
  // space, and keeps it until a full collection.
  const onEnd: Frame['onEnd'] = (outcome, error) => {
    trace?.ended(outcome, error)
    return release?.()
  }
  frame.onEnd = onEnd
  const sending = open(session, frame, 'begin', beginSql(modes))
  if (sending !== undefined) await sending
  return frame
}

/** Opens a savepoint in `parent`. SAVEPOINT is deferred likewise. */
export async function beginSavepoint(
  session: Session,
  parent: Frame,
  options: FrameOptions,
  onOpen: OnOpen,
): Promise<Frame> {
  const { stack, settings } = session
  const inside = stack.innermostOf(parent)
  assertNotAborted(inside, options.callSite)
  const modes = options.modes ?? {}
  const narrow = narrowing(modes, inside, settings.defaultIsolationLevel, options.callSite)
  // A callback API numbers its own handles only, whatever the other layer has opened: the depth decides.
  const asked = options.scoped ? undefined : options.name
  const name = asked ?? stack.freeName(`sp${inside.depth}`)
  const sqlName = asked !== undefined && stack.isTaken(asked) ? stack.freeName(asked) : name
  const frame = stack.push({ ...options, modes, name, sqlName })
  onOpen(frame)
  publishSavepoint(settings.name, frame, 'open')
  const sending = open(session, frame, 'savepoint', savepointSql(sqlName))
  if (sending !== undefined) await sending
  if (narrow !== undefined) await open(session, frame, 'set', `set transaction ${narrow}`)
  return frame
}

/** Defers a command of an opening frame, or sends it now where `lazy` is off. */
function open(
  session: Session,
  frame: Frame,
  op: 'begin' | 'savepoint' | 'set',
  sql: string,
): Promise<void> | undefined {
  if (!session.settings.lazy) return sendNow(session, frame, sql)
  session.dispatcher.queue.defer({ op, sql, frame })
  return undefined
}

async function sendNow(session: Session, frame: Frame, sql: string): Promise<void> {
  try {
    await session.command(new Statement(frame.layer, sql), frame)
  } catch (error) {
    if (!frame.ended) session.openingFailed(frame, error)
    await finish(session, frame, 'rolled-back', error)
    throw error
  }
}
