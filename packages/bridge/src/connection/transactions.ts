import { TransactionClosedError, TurnTimeoutError } from '../errors.ts'
import { publishSavepoint } from '../instrumentation/traces.ts'
import { acknowledged, type QueryResult } from '../protocol/pg.ts'
import { releaseSql } from '../sql/control-sql.ts'
import {
  abortedError,
  assertNotAborted,
  closedError,
  notSent,
  outcomeUnknownError,
  rollbackOnlyError,
} from '../transaction/frame-errors.ts'
import type { Frame, FrameOptions, Layer } from '../transaction/frame.ts'
import { Statement } from '../wire/statement.ts'
import { beginSavepoint, beginTransaction, type OnOpen } from './begin.ts'
import { runBeforeCommit, sendCommit } from './commit.ts'
import { rollbackToSavepoint, rolledBack, sendRollback } from './rollback.ts'
import { finish, runHooks } from './run-hooks.ts'
import { whenIdleInTime } from './turn-timeout.ts'
import type { Session } from './session.ts'

/**
 * Opens, commits and rolls back the frames of one connection. The nesting is written here, and nowhere
 * else:
 *
 * | | transaction | savepoint |
 * |---|---|---|
 * | open | BEGIN, deferred | SAVEPOINT, deferred |
 * | commit | COMMIT, or nothing if nothing was sent | RELEASE, deferred |
 * | roll back | ROLLBACK | ROLLBACK TO, then RELEASE, deferred |
 */
export class Transactions {
  readonly #session: Session
  /** The answer to the last ROLLBACK, which may be under way when its frame has ended already. */
  #lastRollback: Promise<void> | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** Opens a transaction, or a savepoint in `parent` once that has its turn. */
  open(parent: Frame | undefined, options: FrameOptions, onOpen: OnOpen): Promise<Frame> {
    const session = this.#session
    if (parent === undefined) return beginTransaction(session, options, onOpen)
    const closed = session.closedError(parent, options.around)
    if (closed !== undefined) return Promise.reject(closed)
    return session.turns.run(
      parent,
      () => beginSavepoint(session, parent, options, onOpen),
      options.callSite,
      options.signal,
    )
  }

  /** Ends a frame by COMMIT or RELEASE. Resolves when that is done and the hooks have run. */
  async commit(frame: Frame, layer: Layer): Promise<QueryResult> {
    if (frame.ended) return this.#answerEnded(frame)
    if (frame.phase !== 'open') throw closedError(frame, 'it cannot end twice')
    frame.transition('end')
    const { stack, turns } = this.#session
    try {
      return await turns.runEnd(frame, () => {
        stack.finishInside(frame)
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

  /** Rolls back all that was done in a frame, and ends it. */
  async rollback(frame: Frame, layer: Layer): Promise<QueryResult> {
    const session = this.#session
    if (frame.phase === 'committing') throw closedError(frame, 'ROLLBACK comes too late')
    const isRoot = frame.parent === undefined
    if (!frame.ended) {
      const answered = sendRollback(session, frame, layer)
      if (isRoot) this.#lastRollback = answered
      await answered
      await rolledBack(session, frame)
    } else if (isRoot) {
      await this.#lastRollback
      await finish(session, frame, 'rolled-back', frame.failure)
    }
    const outcome = frame.phase === 'unknown' ? 'unknown' : 'rolled-back'
    await runHooks(session, frame, outcome, frame.blockError)
    return acknowledged('ROLLBACK')
  }

  /** Rolls back all that was done since an unscoped savepoint, which stays. */
  async rollbackTo(frame: Frame, layer: Layer): Promise<QueryResult> {
    const result = await rollbackToSavepoint(this.#session, frame, layer)
    if (!frame.ended) await runHooks(this.#session, frame, 'rolled-back', undefined)
    return result
  }

  /** Resolves when the hooks have run that run at the end of a frame, whoever has ended it. */
  async hooksOf(frame: Frame): Promise<void> {
    await frame.settling
  }

  /** Answers COMMIT or RELEASE for a frame that has ended already: by its outcome. */
  async #answerEnded(frame: Frame): Promise<QueryResult> {
    if (frame.phase === 'committed') return acknowledged('COMMIT')
    if (frame.phase === 'released') return acknowledged('RELEASE')
    const outcome = frame.phase === 'unknown' ? 'unknown' : 'rolled-back'
    const error =
      outcome === 'unknown' ? outcomeUnknownError(frame, frame.failure) : abortedError(frame)
    await this.#lastRollback
    if (frame.parent === undefined) await finish(this.#session, frame, outcome, error)
    await runHooks(this.#session, frame, outcome, { error })
    throw error
  }

  async #releaseSavepoint(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { dispatcher, settings, stack, turns } = this.#session
    // Statements that nobody awaited decide about the savepoint, too.
    if (!dispatcher.isIdle) await whenIdleInTime(dispatcher, settings.turnTimeout, frame)
    if (frame.ended) return this.#answerEnded(frame)
    if (frame.rollbackOnly !== undefined) return this.#rollbackInstead(frame, layer)
    if (frame.failure !== undefined) {
      frame.transition('reopen')
      assertNotAborted(frame)
    }
    const sql = releaseSql(frame.sqlName)
    if (!settings.lazy) {
      await this.#sendRelease(frame, layer, sql)
      if (frame.ended) return this.#answerEnded(frame)
    }
    stack.end(frame, 'released')
    if (frame.parent !== undefined) frame.hooks.moveTo(frame.parent.hooks)
    if (settings.lazy && !dispatcher.queue.forget(frame)) {
      dispatcher.queue.dropReleases(frame)
      dispatcher.queue.defer({ op: 'release', sql, frame })
    }
    publishSavepoint(settings.name, frame, 'released')
    turns.advance(notSent)
    return acknowledged('RELEASE')
  }

  async #sendRelease(frame: Frame, layer: Layer, sql: string): Promise<void> {
    frame.transition('commit')
    try {
      await this.#session.command(new Statement(layer, sql), frame)
    } catch (error) {
      frame.transition('commit-failed')
      throw error
    }
  }

  async #commitTransaction(frame: Frame, layer: Layer): Promise<QueryResult> {
    const session = this.#session
    const isAborted = frame.failure !== undefined
    if (!isAborted && frame.rollbackOnly === undefined && frame.hooks.has('before-commit')) {
      try {
        await runBeforeCommit(session, frame)
      } catch (error) {
        frame.blockError = { error }
        await this.rollback(frame, layer)
        throw error
      }
    }
    if (frame.ended) return this.#answerEnded(frame)
    if (frame.rollbackOnly !== undefined) return this.#rollbackInstead(frame, layer)

    frame.transition('commit')
    const { outcome, failure } = await sendCommit(session, frame, layer)
    if (outcome === 'skipped') {
      frame.transition('commit-failed')
      frame.failure ??= failure
      frame.blockError ??= { error: failure }
      await this.rollback(frame, layer)
      throw failure
    }
    // The loss of the connection may have ended the frame before the answer did.
    if (frame.ended) frame.transition(outcome)
    else session.stack.end(frame, outcome)
    const returned = finish(session, frame, outcome, failure)
    if (returned !== undefined) await returned
    const first = failure === undefined ? undefined : { error: failure }
    const hooks = runHooks(session, frame, outcome, first)
    if (hooks !== undefined) await hooks
    if (failure !== undefined) throw failure
    return acknowledged('COMMIT')
  }

  /** Ends a frame by a rollback that was to commit, but is marked as rollback-only. */
  async #rollbackInstead(frame: Frame, layer: Layer): Promise<QueryResult> {
    const { rollbackOnly } = frame
    if (rollbackOnly === 'requested' || rollbackOnly === undefined) {
      await this.rollback(frame, layer)
      return acknowledged('COMMIT')
    }
    const error = rollbackOnlyError(frame, rollbackOnly.cause)
    frame.blockError = { error }
    await this.rollback(frame, layer)
    throw error
  }
}
