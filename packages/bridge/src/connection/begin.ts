import { notSent, TransactionClosedError } from '../errors.ts'
import { publishSavepoint, TransactionTrace } from '../instrumentation/traces.ts'
import { beginSql, savepointSql } from '../sql/control-sql.ts'
import type { Frame, FrameOptions } from '../transaction/frame.ts'
import { checkModes, narrowing } from '../transaction/modes.ts'
import { assertNotAborted } from './commit.ts'
import type { Connection } from './session.ts'
import { finish } from './endings.ts'
import type { Settings } from '../settings.ts'
import { Statement } from '../wire/statement.ts'

/** Told of a frame when it opens. Gives what gives the client back at its end, if that is to be done. */
export type OnOpen = (frame: Frame) => (() => Promise<void> | undefined) | undefined

type Opening = 'begin' | 'savepoint' | 'set'

/** Opens the frames of one connection: BEGIN and SAVEPOINT, held back unless that is turned off. */
export class Opener {
  readonly #connection: Connection
  readonly #settings: Settings

  constructor(connection: Connection, settings: Settings) {
    this.#connection = connection
    this.#settings = settings
  }

  async transaction(options: FrameOptions, onOpen: OnOpen): Promise<Frame> {
    const modes = options.modes ?? {}
    checkModes(modes)
    const { stack, id } = this.#connection
    const { root } = stack
    if (root !== undefined) throw new TransactionClosedError(root, 'BEGIN comes too early')
    const session = this.#connection
    const frame = stack.push({ ...options, modes, database: this.#settings.name, session })
    const trace = TransactionTrace.start(this.#settings.name, frame, id)
    const release = onOpen(frame)
    // the client goes back before any hook runs
    // V8 puts a function that is written right into a property among the old objects, and keeps what
    // it refers to until the next full collection of garbage
    const onEnd: Frame['onEnd'] = (outcome, error) => {
      trace?.ended(outcome, error)
      return release?.()
    }
    frame.onEnd = onEnd
    const sending = this.#send(frame, 'begin', beginSql(modes))
    if (sending !== undefined) await sending
    return frame
  }

  async savepoint(parent: Frame, options: FrameOptions, onOpen: OnOpen): Promise<Frame> {
    const { stack } = this.#connection
    const inside = stack.innermostOf(parent)
    assertNotAborted(inside)
    const modes = options.modes ?? {}
    const narrow = narrowing(modes, inside, this.#settings.defaultIsolationLevel)
    // A name that a callback API chose counts its own handles only; by depth it is right for all.
    const asked = options.scoped ? undefined : options.name
    const name = asked ?? stack.freeName(`sp${inside.depth}`)
    const sqlName = stack.isTaken(name) ? stack.freeName(name) : name
    const frame = stack.push({ ...options, modes, name, sqlName })
    onOpen(frame)
    publishSavepoint(this.#settings.name, frame, 'open')
    const sending = this.#send(frame, 'savepoint', savepointSql(sqlName))
    if (sending !== undefined) await sending
    if (narrow !== undefined) await this.#send(frame, 'set', `set transaction ${narrow}`)
    return frame
  }

  /** Holds an opening command back, or sends it now where riding is turned off. */
  #send(frame: Frame, op: Opening, sql: string): Promise<void> | undefined {
    if (!this.#settings.lazy) return this.#sendNow(frame, op, sql)
    this.#connection.dispatcher.queue.push({ op, sql, frame })
    return undefined
  }

  async #sendNow(frame: Frame, op: Opening, sql: string): Promise<void> {
    const { stack, turns } = this.#connection
    if (op !== 'set') frame.isUnsent = true
    try {
      const sent = (): void => void (frame.isUnsent = false)
      await this.#connection.command(new Statement(frame.layer, sql), frame, sent)
    } catch (error) {
      frame.failure ??= error
      stack.end(frame, 'rolled-back')
      publishSavepoint(this.#settings.name, frame, 'rolled-back')
      frame.parent?.abort(error)
      // a connection that takes no BEGIN is in a state that nobody knows
      if (op === 'begin') this.#connection.isDoubtful = true
      const back = finish(frame, 'rolled-back', error)
      turns.advance(notSent)
      await back
      throw error
    }
  }
}
