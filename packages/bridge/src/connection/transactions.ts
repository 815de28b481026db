import { notSent, suppress, TransactionClosedError, TurnTimeoutError } from '../errors.ts'
import { publishSavepoint } from '../instrumentation/traces.ts'
import { releaseSql, rollbackToSql } from '../sql/control-sql.ts'
import type { Frame, FrameOptions, Layer } from '../transaction/frame.ts'
import type { Outcome } from '../outcome.ts'
import {
  aborted,
  assertNotAborted,
  doomedError,
  runLastCalls,
  sendCommit,
  unknown,
} from './commit.ts'
import type { Connection } from './session.ts'
import { conclude } from './endings.ts'
import { type OnOpen, Openings } from './begin.ts'
import { acknowledged, type QueryResult } from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import { settle } from './run-hooks.ts'
import { Statement } from '../wire/statement.ts'

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
  readonly #openings: Openings
  readonly #connection: Connection
  readonly #database: object
  readonly #settings: Settings
  /** The last ROLLBACK, which may be under way when its frame has ended already. */
  #rollback: Promise<unknown> | undefined

  constructor(connection: Connection, database: object, settings: Settings) {
    this.#connection = connection
    this.#database = database
    this.#settings = settings
    this.#openings = new Openings(connection, settings)
  }

  /**
   * Opens a transaction, or a savepoint in `parent` once that has its turn. `onOpen` is told in the
   * very moment: what is sent right behind it belongs to the frame.
   */
  open(parent: Frame | undefined, options: FrameOptions, onOpen: OnOpen): Promise<Frame> {
    if (parent === undefined) return this.#openings.transaction(options, onOpen)
    const refusal = this.#connection.refusal(parent, options.around)
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#connection.turns.take(
      parent,
      () => this.#openings.savepoint(parent, options, onOpen),
      options.origin,
      options.signal,
    )
  }

  /** Ends a frame for good: COMMIT or RELEASE. Resolves when it is so, and the hooks have run. */
  async keep(frame: Frame, layer: Layer): Promise<QueryResult> {
    if (frame.ended) return this.#keepEnded(frame)
    if (frame.state === 'ending') throw new TransactionClosedError(frame, 'it can not end twice')
    frame.state = 'ending'
    try {
      return await this.#connection.turns.end(frame, () => {
        this.#connection.stack.finishInside(frame)
        return frame.parent === undefined ? this.#commit(frame, layer) : this.#release(frame, layer)
      })
    } catch (error) {
      if (frame.ended && error instanceof TransactionClosedError) return this.#keepEnded(frame)
      frame.thrown ??= { error }
      if (error instanceof TurnTimeoutError) await this.undo(frame, layer)
      throw error
    }
  }

  /** Takes back all that was done in a frame: ROLLBACK or ROLLBACK TO, at once, since locks must go. */
  async undo(frame: Frame, layer: Layer): Promise<QueryResult> {
    if (frame.isKeeping) throw new TransactionClosedError(frame, 'ROLLBACK comes too late')
    if (!frame.ended) await this.#rollBack(frame, layer)
    else if (frame.parent === undefined) {
      await this.#rollback
      await this.#conclude(frame, 'rolled-back', frame.failure)
    }
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
      wire.drop(inner)
    }
    wire.queue.dropReleases(frame)
    const answer = this.#connection.command(
      new Statement(layer, rollbackToSql(nameOf(frame))),
      frame,
    )
    turns.pass(notSent)
    const result = await answer
    // what nobody awaited may have ended it meanwhile
    if (frame.ended) return result
    frame.failure = undefined
    frame.state = 'open'
    frame.undone++
    frame.resetModes()
    publishSavepoint(this.#settings.name, frame, 'rolled-back')
    await this.#settle(frame, 'rolled-back', undefined)
    return result
  }

  /** Whether the command that opens a frame is not on its way yet. */
  isUnsent(frame: Frame): boolean {
    return this.#connection.wire.queue.holdsOpening(frame) || frame.isUnsent
  }

  async #keepEnded(frame: Frame): Promise<QueryResult> {
    if (frame.state === 'committed') return acknowledged('COMMIT')
    if (frame.state === 'released') return acknowledged('RELEASE')
    const outcome = frame.state === 'unknown' ? 'unknown' : 'rolled-back'
    const error = outcome === 'unknown' ? unknown(frame, frame.failure) : aborted(frame)
    await this.#rollback
    if (frame.parent === undefined) await this.#conclude(frame, outcome, error)
    await this.#settle(frame, outcome, { error })
    throw error
  }

  async #release(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { stack, turns, wire } = this.#connection
    // Statements that nobody awaited decide about the savepoint too.
    const busy = wire.quiet()
    if (busy !== undefined) await busy
    if (frame.ended) return this.#keepEnded(frame)
    if (frame.isGivenUp) return this.#giveUp(frame, layer)
    if (frame.failure !== undefined) {
      frame.state = 'aborted'
      assertNotAborted(frame)
    }

    const { lazy } = this.#settings
    const sql = releaseSql(nameOf(frame))
    if (!lazy) {
      frame.isKeeping = true
      try {
        await this.#connection.command(new Statement(layer, sql), frame)
      } finally {
        frame.isKeeping = false
      }
      if (frame.ended) return this.#keepEnded(frame)
    }
    stack.end(frame, 'released')
    if (frame.parent !== undefined) frame.hooks.moveTo(frame.parent.hooks)
    if (lazy && !wire.queue.forget(frame)) {
      wire.queue.dropReleases(frame)
      wire.queue.push({ op: 'release', sql, frame })
    }
    publishSavepoint(this.#settings.name, frame, 'released')
    turns.pass(notSent)
    return acknowledged('RELEASE')
  }

  async #commit(frame: Frame, layer: Layer): Promise<QueryResult> {
    try {
      const hasHooks = frame.hooks.has('before-commit')
      if (hasHooks && frame.failure === undefined && !frame.isGivenUp) {
        await runLastCalls(frame, this.#connection, this.#database)
      }
    } catch (error) {
      frame.thrown = { error }
      await this.undo(frame, layer)
      throw error
    }
    if (frame.ended) return this.#keepEnded(frame)
    if (frame.isGivenUp) return this.#giveUp(frame, layer)

    frame.isKeeping = true
    const { outcome, failure } = await sendCommit(this.#connection, frame, layer)
    frame.isKeeping = false
    if (outcome === 'skipped') {
      frame.failure ??= failure
      frame.thrown ??= { error: failure }
      await this.undo(frame, layer)
      throw failure
    }
    this.#connection.stack.end(frame, outcome)
    // the loss of a connection has ended the frame before the answer did
    frame.state = outcome
    const back = this.#conclude(frame, outcome, failure)
    if (back !== undefined) await back
    const hooks = this.#settle(
      frame,
      outcome,
      failure === undefined ? undefined : { error: failure },
    )
    if (hooks !== undefined) await hooks
    if (failure !== undefined) throw failure
    return acknowledged('COMMIT')
  }

  /** Ends a frame that was asked to be kept, but is marked for a rollback. */
  async #giveUp(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { doomed } = frame
    if (doomed === undefined) {
      await this.undo(frame, layer)
      return acknowledged('COMMIT')
    }
    const error = doomedError(frame, doomed.cause)
    frame.thrown = { error }
    await this.undo(frame, layer)
    throw error
  }

  async #rollBack(frame: Frame, layer: Layer): Promise<void> {
    const { stack, turns, wire } = this.#connection
    const { parent } = frame
    stack.end(frame, 'rolled-back')
    // by hand, ROLLBACK comes behind what was sent before it; a block is over with all that it has left
    const keepsOrder = !frame.scoped && wire.queue.hasTripsOf(frame)
    const unsent = this.isUnsent(frame) && !keepsOrder
    if (!keepsOrder) wire.drop(frame)
    let answer: Promise<unknown> | undefined
    if (!unsent) {
      const sql = parent === undefined ? 'rollback' : rollbackToSql(nameOf(frame))
      answer = this.#connection.command(new Statement(layer, sql), frame)
      if (parent !== undefined) {
        wire.queue.push({ op: 'release', sql: releaseSql(nameOf(frame)), frame })
      }
    }
    turns.pass(notSent)
    const answered = answer?.catch((error: unknown) => this.#onRollBackFailed(frame, error))
    if (parent === undefined) this.#rollback = answered
    await answered
    if (parent === undefined) await this.#conclude(frame, 'rolled-back', frame.failure)
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

  /** Gives a promise where the client has to wait for another answer of the server. */
  #conclude(frame: Frame, outcome: Outcome, error: unknown): Promise<void> | undefined {
    const back = conclude(frame, outcome, error)
    this.#connection.turns.pass(notSent)
    return back
  }

  #settle(
    frame: Frame,
    outcome: Outcome,
    first: { readonly error: unknown } | undefined,
  ): Promise<void> | undefined {
    if (frame.hooks.isEmpty) return undefined
    const settling = settle(frame, outcome, first, this.#database, this.#settings)
    frame.settling = Promise.allSettled([frame.settling, settling])
    return settling
  }

  /** Resolves when the hooks have run that run now at the end of a frame, for whoever has ended it. */
  async hooksOf(frame: Frame): Promise<void> {
    await frame.settling
  }
}

function nameOf(savepoint: Frame): string {
  return savepoint.sqlName ?? ''
}
