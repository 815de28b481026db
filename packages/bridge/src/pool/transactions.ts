import {
  describe,
  RollbackOnlyError,
  suppress,
  TransactionAbortedError,
  TransactionClosedError,
  TurnTimeoutError,
} from '../errors.ts'
import { publishSavepoint, TransactionTrace } from '../instrumentation/traces.ts'
import { beginSql, releaseSql, rollbackToSql, savepointSql } from '../sql/control-sql.ts'
import type { Frame, FrameOptions, Layer } from '../transaction/frame.ts'
import { checkModes, narrowing } from '../transaction/modes.ts'
import type { Outcome } from '../transaction/outcome.ts'
import { Link } from '../transaction/scope.ts'
import { aborted, sendCommit, unknown } from './commit.ts'
import type { Connection } from './connection.ts'
import { acknowledged, type QueryResult } from './pg.ts'
import type { Settings } from './settings.ts'
import { settle } from './settle.ts'
import { Statement } from './statement.ts'

/**
 * Opens, keeps and undoes the frames of one connection: the one place where the nesting is written.
 *
 * | | transaction | savepoint |
 * |---|---|---|
 * | open | BEGIN, held back | SAVEPOINT, held back |
 * | keep | COMMIT, or nothing if nothing was sent | RELEASE, held back |
 * | undo | ROLLBACK | ROLLBACK TO, then RELEASE held back |
 */
export class Transactions {
  /** Gives the client back to the pool, where the end of the transaction is the end of the loan. */
  giveBack: (() => void) | undefined
  readonly #connection: Connection
  readonly #database: object
  readonly #settings: Settings
  #trace: TransactionTrace | undefined

  constructor(connection: Connection, database: object, settings: Settings) {
    this.#connection = connection
    this.#database = database
    this.#settings = settings
  }

  /** Opens a transaction, or a savepoint in `parent` once that has its turn. */
  open(parent: Frame | undefined, options: FrameOptions): Promise<Frame> {
    if (parent === undefined) return this.#begin(options)
    const refusal = this.#connection.refusal(parent, options.around)
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#connection.turns.take(parent, () => this.#savepoint(parent, options))
  }

  /** Ends a frame for good: COMMIT or RELEASE. Resolves when it is so, and the hooks have run. */
  async keep(frame: Frame, layer: Layer): Promise<QueryResult> {
    if (frame.ended) return this.#keepEnded(frame)
    if (frame.state === 'ending') throw new TransactionClosedError(frame, 'it can not end twice')
    if (frame.parent !== undefined) assertNotAborted(frame)
    frame.state = 'ending'
    try {
      return await this.#connection.turns.take(frame, () =>
        frame.parent === undefined ? this.#commit(frame, layer) : this.#release(frame, layer),
      )
    } catch (error) {
      if (!(error instanceof TurnTimeoutError)) throw error
      frame.thrown = { error }
      await this.undo(frame, layer)
      throw error
    }
  }

  /** Takes back all that was done in a frame: ROLLBACK or ROLLBACK TO, at once, since locks must go. */
  async undo(frame: Frame, layer: Layer): Promise<QueryResult> {
    if (!frame.ended) await this.#rollBack(frame, layer)
    else if (frame.parent === undefined) this.#conclude('rolled-back', frame.failure)
    const outcome = frame.state === 'unknown' ? 'unknown' : 'rolled-back'
    await this.#settle(frame, outcome, frame.thrown)
    return acknowledged('ROLLBACK')
  }

  /** Takes back all that was done since an unscoped savepoint, which stays. */
  async undoTo(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { stack, turns, wire } = this.#connection
    const inner = stack.frames[frame.depth]
    if (inner !== undefined) {
      stack.endInside(frame, 'rolled-back')
      wire.drop(inner, refuse)
    }
    wire.dropReleases(frame)
    const answer = this.#connection.command(
      new Statement(layer, rollbackToSql(nameOf(frame))),
      frame,
    )
    turns.pass(refuse)
    const result = await answer
    frame.failure = undefined
    frame.state = 'open'
    publishSavepoint(this.#settings.name, frame, 'rolled-back')
    await this.#settle(frame, 'rolled-back', undefined)
    return result
  }

  async #begin(options: FrameOptions): Promise<Frame> {
    const modes = options.modes ?? {}
    checkModes(modes)
    const frame = this.#connection.stack.push({ ...options, modes })
    this.#trace = TransactionTrace.start(this.#settings.name, frame, this.#connection.id)
    await this.#send(frame, 'begin', beginSql(modes))
    return frame
  }

  async #savepoint(parent: Frame, options: FrameOptions): Promise<Frame> {
    const { stack } = this.#connection
    const inside = stack.innermostOf(parent)
    assertNotAborted(inside)
    const modes = options.modes ?? {}
    const narrow = narrowing(modes, inside, this.#settings.defaultIsolationLevel)
    // A name that a callback API chose counts its own handles only; by depth it is right for all.
    const name = stack.freeName((!options.scoped && options.name) || `sp${inside.depth}`)
    const frame = stack.push({ ...options, modes, name })
    publishSavepoint(this.#settings.name, frame, 'open')
    await this.#send(frame, 'savepoint', savepointSql(name))
    if (narrow !== undefined) await this.#send(frame, 'set', `set transaction ${narrow}`)
    return frame
  }

  /** Holds an opening command back, or sends it now where riding is turned off. */
  async #send(frame: Frame, op: 'begin' | 'savepoint' | 'set', sql: string): Promise<void> {
    const { stack, wire } = this.#connection
    if (this.#settings.lazy) return wire.ride({ op, sql, frame })
    try {
      await this.#connection.command(new Statement(frame.layer, sql), frame)
    } catch (error) {
      frame.failure ??= error
      stack.end(frame, 'rolled-back')
      if (op === 'begin') this.#conclude('rolled-back', error)
      throw error
    }
  }

  async #keepEnded(frame: Frame): Promise<QueryResult> {
    if (frame.state === 'committed' || frame.state === 'released') return acknowledged('COMMIT')
    const outcome = frame.state === 'unknown' ? 'unknown' : 'rolled-back'
    const error = outcome === 'unknown' ? unknown(frame, frame.failure) : aborted(frame)
    if (frame.parent === undefined) this.#conclude(outcome, error)
    await this.#settle(frame, outcome, { error })
    throw error
  }

  async #release(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { stack, turns, wire } = this.#connection
    // Statements that nobody awaited decide about the savepoint too.
    await wire.quiet()
    if (frame.ended) return this.#keepEnded(frame)
    if (frame.failure !== undefined) {
      frame.state = 'aborted'
      assertNotAborted(frame)
    }
    if (isGivenUp(frame)) return this.#giveUp(frame, layer)

    const { lazy } = this.#settings
    const sql = releaseSql(nameOf(frame))
    if (!lazy) await this.#connection.command(new Statement(layer, sql), frame)
    stack.end(frame, 'released')
    if (frame.parent !== undefined) frame.hooks.moveTo(frame.parent.hooks)
    if (lazy && !wire.forget(frame)) {
      wire.dropReleases(frame)
      wire.ride({ op: 'release', sql, frame })
    }
    publishSavepoint(this.#settings.name, frame, 'released')
    turns.pass(refuse)
    return acknowledged('RELEASE')
  }

  async #commit(frame: Frame, layer: Layer): Promise<QueryResult> {
    try {
      if (frame.failure === undefined && !isGivenUp(frame)) await this.#lastCalls(frame)
    } catch (error) {
      frame.thrown = { error }
      await this.undo(frame, layer)
      throw error
    }
    if (frame.ended) return this.#keepEnded(frame)
    if (isGivenUp(frame)) return this.#giveUp(frame, layer)

    const { outcome, failure } = await sendCommit(this.#connection, frame, layer)
    this.#connection.stack.end(frame, outcome)
    // the loss of a connection has ended the frame before the answer did
    frame.state = outcome
    this.#conclude(outcome, failure)
    await this.#settle(frame, outcome, failure === undefined ? undefined : { error: failure })
    if (failure !== undefined) throw failure
    return acknowledged('COMMIT')
  }

  /** Runs the before-commit hooks, also those that they register. */
  async #lastCalls(frame: Frame): Promise<void> {
    let hooks = frame.hooks.take('before-commit')
    if (hooks.length === 0) return
    const link = new Link(frame.around, this.#database, 'block', undefined, frame)
    frame.lastCalls = link
    while (hooks.length > 0) {
      for (const hook of hooks) await hook.run(link, 'committed')
      hooks = frame.hooks.take('before-commit')
    }
    // what they opened and did not await belongs to the transaction too
    await this.#connection.turns.take(frame, () => Promise.resolve())
    frame.lastCalls = undefined
  }

  /** Ends a frame that was asked to be kept, but is marked for a rollback. */
  async #giveUp(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { doomed } = frame
    if (doomed === undefined) {
      await this.undo(frame, layer)
      return acknowledged('COMMIT')
    }
    const error = new RollbackOnlyError(
      `${describe(frame)} was rolled back: a block that joined it had failed`,
      { cause: doomed.cause },
    )
    frame.thrown = { error }
    await this.undo(frame, layer)
    throw error
  }

  async #rollBack(frame: Frame, layer: Layer): Promise<void> {
    const { stack, turns, wire } = this.#connection
    const { parent } = frame
    stack.end(frame, 'rolled-back')
    const unsent = wire.isUnsent(frame)
    wire.drop(frame, refuse)
    let answer: Promise<unknown> | undefined
    if (!unsent) {
      const sql = parent === undefined ? 'rollback' : rollbackToSql(nameOf(frame))
      answer = this.#connection.command(new Statement(layer, sql), frame)
      if (parent !== undefined) {
        wire.ride({ op: 'release', sql: releaseSql(nameOf(frame)), frame })
      }
    }
    turns.pass(refuse)
    try {
      await answer
    } catch (error) {
      this.#onRollBackFailed(frame, error)
    }
    if (parent === undefined) this.#conclude('rolled-back', frame.failure)
    else publishSavepoint(this.#settings.name, frame, 'rolled-back')
  }

  /**
   * A transaction whose ROLLBACK failed is rolled back all the same: its connection is closed. A
   * savepoint that could not be rolled back leaves the frame around it aborted.
   */
  #onRollBackFailed(frame: Frame, error: unknown): void {
    if (frame.thrown !== undefined) suppress(frame.thrown.error, error)
    const { parent } = frame
    if (parent === undefined) this.#connection.lost ??= error
    else parent.abort(error)
  }

  /** The transaction has ended: the client goes back before any hook runs. */
  #conclude(outcome: Outcome, error: unknown): void {
    this.#trace?.ended(outcome, error)
    this.#trace = undefined
    this.giveBack?.()
    this.giveBack = undefined
    this.#connection.turns.pass(refuse)
  }

  #settle(
    frame: Frame,
    outcome: Outcome,
    first: { readonly error: unknown } | undefined,
  ): Promise<void> {
    return settle(frame, outcome, first, this.#database, this.#settings)
  }
}

function refuse(frame: Frame): TransactionClosedError {
  return new TransactionClosedError(frame, 'the statement was not sent')
}

function assertNotAborted(frame: Frame): void {
  if (frame.failure === undefined) return
  throw new TransactionAbortedError(
    `${describe(frame)} is aborted: a statement in it has failed, and only a rollback can end it`,
    frame,
  )
}

/** Whether it was marked for a rollback, however its block ends. */
function isGivenUp(frame: Frame): boolean {
  return frame.doomed !== undefined || frame.rollsBackOnExit
}

function nameOf(savepoint: Frame): string {
  return savepoint.name ?? ''
}
