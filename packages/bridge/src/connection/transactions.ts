import { notSent, suppress, TransactionClosedError, TurnTimeoutError } from '../errors.ts'
import { publishSavepoint } from '../instrumentation/traces.ts'
import { releaseSql, rollbackToSql } from '../sql/control-sql.ts'
import type { Frame, FrameOptions, Layer } from '../transaction/frame.ts'
import type { Outcome } from '../outcome.ts'
import {
  aborted,
  assertNotAborted,
  doomedError,
  runBeforeCommit,
  sendCommit,
  unknown,
} from './commit.ts'
import type { Connection } from './session.ts'
import { finish } from './endings.ts'
import { type OnOpen, Opener } from './begin.ts'
import { acknowledged, type QueryResult } from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import { runHooks } from './run-hooks.ts'
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
  readonly #openings: Opener
  readonly #connection: Connection
  readonly #database: object
  readonly #settings: Settings
  /** The last ROLLBACK, which may be under way when its frame has ended already. */
  #rollback: Promise<unknown> | undefined

  constructor(connection: Connection, database: object, settings: Settings) {
    this.#connection = connection
    this.#database = database
    this.#settings = settings
    this.#openings = new Opener(connection, settings)
  }

  /**
   * Opens a transaction, or a savepoint in `parent` once that has its turn. `onOpen` is told in the
   * very moment: what is sent right behind it belongs to the frame.
   */
  open(parent: Frame | undefined, options: FrameOptions, onOpen: OnOpen): Promise<Frame> {
    if (parent === undefined) return this.#openings.transaction(options, onOpen)
    const refusal = this.#connection.refusal(parent, options.around)
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#connection.turns.run(
      parent,
      () => this.#openings.savepoint(parent, options, onOpen),
      options.callSite,
      options.signal,
    )
  }

  /** Ends a frame for good: COMMIT or RELEASE. Resolves when it is so, and the hooks have run. */
  async commit(frame: Frame, layer: Layer): Promise<QueryResult> {
    if (frame.ended) return this.#answerEnded(frame)
    if (frame.state === 'ending') throw new TransactionClosedError(frame, 'it can not end twice')
    frame.state = 'ending'
    try {
      return await this.#connection.turns.runEnd(frame, () => {
        this.#connection.stack.finishInside(frame)
        return frame.parent === undefined
          ? this.#commitTransaction(frame, layer)
          : this.#releaseSavepoint(frame, layer)
      })
    } catch (error) {
      if (frame.ended && error instanceof TransactionClosedError) return this.#answerEnded(frame)
      frame.blockError ??= { error }
      if (error instanceof TurnTimeoutError) await this.rollback(frame, layer)
      throw error
    }
  }

  /** Takes back all that was done in a frame: ROLLBACK or ROLLBACK TO, at once, since locks must go. */
  async rollback(frame: Frame, layer: Layer): Promise<QueryResult> {
    if (frame.isKeeping) throw new TransactionClosedError(frame, 'ROLLBACK comes too late')
    if (!frame.ended) await this.#sendRollback(frame, layer)
    else if (frame.parent === undefined) {
      await this.#rollback
      await this.#finish(frame, 'rolled-back', frame.failure)
    }
    const outcome = frame.state === 'unknown' ? 'unknown' : 'rolled-back'
    await this.#runHooks(frame, outcome, frame.blockError)
    return acknowledged('ROLLBACK')
  }

  /** Takes back all that was done since an unscoped savepoint, which stays. */
  async rollbackTo(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { stack, turns, dispatcher } = this.#connection
    const inner = stack.frames[frame.depth]
    if (inner !== undefined) {
      stack.endInside(frame, 'rolled-back')
      dispatcher.drop(inner)
    }
    dispatcher.queue.dropReleases(frame)
    const answer = this.#connection.command(
      new Statement(layer, rollbackToSql(nameOf(frame))),
      frame,
    )
    turns.advance(notSent)
    const result = await answer
    // what nobody awaited may have ended it meanwhile
    if (frame.ended) return result
    frame.failure = undefined
    frame.state = 'open'
    frame.rollbackCount++
    frame.resetModes()
    publishSavepoint(this.#settings.name, frame, 'rolled-back')
    await this.#runHooks(frame, 'rolled-back', undefined)
    return result
  }

  /** Whether the command that opens a frame is not on its way yet. */
  isUnsent(frame: Frame): boolean {
    return this.#connection.dispatcher.queue.holdsOpening(frame) || frame.isUnsent
  }

  async #answerEnded(frame: Frame): Promise<QueryResult> {
    if (frame.state === 'committed') return acknowledged('COMMIT')
    if (frame.state === 'released') return acknowledged('RELEASE')
    const outcome = frame.state === 'unknown' ? 'unknown' : 'rolled-back'
    const error = outcome === 'unknown' ? unknown(frame, frame.failure) : aborted(frame)
    await this.#rollback
    if (frame.parent === undefined) await this.#finish(frame, outcome, error)
    await this.#runHooks(frame, outcome, { error })
    throw error
  }

  async #releaseSavepoint(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { stack, turns, dispatcher } = this.#connection
    // Statements that nobody awaited decide about the savepoint too.
    const busy = dispatcher.quiet()
    if (busy !== undefined) await busy
    if (frame.ended) return this.#answerEnded(frame)
    if (frame.isRollbackOnly) return this.#rollbackInstead(frame, layer)
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
      if (frame.ended) return this.#answerEnded(frame)
    }
    stack.end(frame, 'released')
    if (frame.parent !== undefined) frame.hooks.moveTo(frame.parent.hooks)
    if (lazy && !dispatcher.queue.forget(frame)) {
      dispatcher.queue.dropReleases(frame)
      dispatcher.queue.push({ op: 'release', sql, frame })
    }
    publishSavepoint(this.#settings.name, frame, 'released')
    turns.advance(notSent)
    return acknowledged('RELEASE')
  }

  async #commitTransaction(frame: Frame, layer: Layer): Promise<QueryResult> {
    try {
      const hasHooks = frame.hooks.has('before-commit')
      if (hasHooks && frame.failure === undefined && !frame.isRollbackOnly) {
        await runBeforeCommit(frame, this.#connection, this.#database)
      }
    } catch (error) {
      frame.blockError = { error }
      await this.rollback(frame, layer)
      throw error
    }
    if (frame.ended) return this.#answerEnded(frame)
    if (frame.isRollbackOnly) return this.#rollbackInstead(frame, layer)

    frame.isKeeping = true
    const { outcome, failure } = await sendCommit(this.#connection, frame, layer)
    frame.isKeeping = false
    if (outcome === 'skipped') {
      frame.failure ??= failure
      frame.blockError ??= { error: failure }
      await this.rollback(frame, layer)
      throw failure
    }
    this.#connection.stack.end(frame, outcome)
    // the loss of a connection has ended the frame before the answer did
    frame.state = outcome
    const back = this.#finish(frame, outcome, failure)
    if (back !== undefined) await back
    const hooks = this.#runHooks(
      frame,
      outcome,
      failure === undefined ? undefined : { error: failure },
    )
    if (hooks !== undefined) await hooks
    if (failure !== undefined) throw failure
    return acknowledged('COMMIT')
  }

  /** Ends a frame that was asked to be kept, but is marked for a rollback. */
  async #rollbackInstead(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { rollbackOnly } = frame
    if (rollbackOnly === undefined) {
      await this.rollback(frame, layer)
      return acknowledged('COMMIT')
    }
    const error = doomedError(frame, rollbackOnly.cause)
    frame.blockError = { error }
    await this.rollback(frame, layer)
    throw error
  }

  async #sendRollback(frame: Frame, layer: Layer): Promise<void> {
    const { stack, turns, dispatcher } = this.#connection
    const { parent } = frame
    stack.end(frame, 'rolled-back')
    // by hand, ROLLBACK comes behind what was sent before it; a block is over with all that it has left
    const keepsOrder = !frame.scoped && dispatcher.queue.hasEntriesOf(frame)
    const unsent = this.isUnsent(frame) && !keepsOrder
    if (!keepsOrder) dispatcher.drop(frame)
    let answer: Promise<unknown> | undefined
    if (!unsent) {
      const sql = parent === undefined ? 'rollback' : rollbackToSql(nameOf(frame))
      answer = this.#connection.command(new Statement(layer, sql), frame)
      if (parent !== undefined) {
        dispatcher.queue.push({ op: 'release', sql: releaseSql(nameOf(frame)), frame })
      }
    }
    turns.advance(notSent)
    const answered = answer?.catch((error: unknown) => this.#onRollbackFailed(frame, error))
    if (parent === undefined) this.#rollback = answered
    await answered
    if (parent === undefined) await this.#finish(frame, 'rolled-back', frame.failure)
    else publishSavepoint(this.#settings.name, frame, 'rolled-back')
  }

  /**
   * A transaction whose ROLLBACK failed is rolled back all the same: its connection is closed. A
   * savepoint that could not be rolled back leaves the frame around it aborted.
   */
  #onRollbackFailed(frame: Frame, error: unknown): void {
    if (frame.blockError !== undefined) suppress(frame.blockError.error, error)
    const { parent } = frame
    if (parent === undefined) this.#connection.lost ??= error
    else parent.abort(error)
  }

  /** Gives a promise where the client has to wait for another answer of the server. */
  #finish(frame: Frame, outcome: Outcome, error: unknown): Promise<void> | undefined {
    const back = finish(frame, outcome, error)
    this.#connection.turns.advance(notSent)
    return back
  }

  #runHooks(
    frame: Frame,
    outcome: Outcome,
    first: { readonly error: unknown } | undefined,
  ): Promise<void> | undefined {
    if (frame.hooks.isEmpty) return undefined
    const settling = runHooks(frame, outcome, first, this.#database, this.#settings)
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
