import { TransactionDriftError } from '../errors.ts'
import type { PipelineQuery } from '../protocol/pipeline-query.ts'
import type { PgClient, QueryResult } from '../protocol/pg.ts'
import type { Frame } from '../transaction/frame.ts'
import { whenIdle } from '../protocol/idle.ts'

/** Learns of a BEGIN that has not opened a transaction of the bridge. */
export interface BeginObserver {
  /** The transaction that the session is in is not the bridge's. */
  onForeignTransaction(frame: Frame, error: Error): void
  /** The session must end now. */
  end(reason: Error): void
}

/**
 * Makes sure that BEGIN opens a transaction. In one that something else has begun, the server would only
 * warn, and the bridge's COMMIT and ROLLBACK would end that one, or be none.
 */
export class BeginCheck {
  readonly #client: PgClient
  readonly #observer: BeginObserver
  /** What was written last with a BEGIN in front. */
  #query: PipelineQuery | undefined
  #warning: Error | undefined

  constructor(client: PgClient, observer: BeginObserver) {
    this.#client = client
    this.#observer = observer
  }

  /**
   * Resolves when the session's status is known; `undefined` if it is at the time of writing anyway. A
   * client in pipeline mode writes while other queries are being answered.
   */
  whenReady(): Promise<void> | undefined {
    const isConnected = this.#client.getTransactionStatus() !== null
    return isConnected ? whenIdle(this.#client) : undefined
  }

  /** Called just before BEGIN is written. Returns an error if the session is in a transaction. */
  start(query: PipelineQuery): TransactionDriftError | undefined {
    const status = this.#client.getTransactionStatus()
    if (status === 'T' || status === 'E') return foreignError(status)
    this.#query = query
    return undefined
  }

  /** The server has warned that it is in a transaction already. Ends the session if that was about BEGIN. */
  onWarning(): void {
    if (this.#query?.completed !== 0) return
    this.#warning = warnedError()
    this.#observer.end(this.#warning)
  }

  /** Finds out whether BEGIN has opened the frame. Returns the error of its query. */
  finish(frame: Frame, query: PipelineQuery, error: unknown, result?: QueryResult): unknown {
    const warning = this.#warning
    this.#query = undefined
    this.#warning = undefined
    if (warning !== undefined) return warning
    const tag = query.firstTag ?? result?.command
    const isRefused = error instanceof TransactionDriftError
    if (isRefused) this.#observer.onForeignTransaction(frame, error)
    // What was deferred and not written is still to be sent.
    const isUnsent = query.deferred.length > 0 && !query.written
    if (error !== undefined || tag === 'BEGIN' || isUnsent) return error
    const wrong = otherTagError(tag)
    // Behind a BEGIN that was deferred, statements have run already.
    if (query.deferred.length > 0) this.#observer.end(wrong)
    else this.#observer.onForeignTransaction(frame, wrong)
    return wrong
  }
}

const CAUSE =
  'Something other than the bridge sends BEGIN on this client: a test kit that wraps Client.prototype.query, ' +
  "a listener of the pool's connect event, or code that held the client before. Let a test run in " +
  'shared.transaction() with frame.rollbackOnExit() instead of such a kit'

function foreignError(status: string): TransactionDriftError {
  return new TransactionDriftError(
    `BEGIN was not sent, since the session is in a transaction already (status ${status}): ` +
      `COMMIT and ROLLBACK would end that one. ${CAUSE}`,
  )
}

function warnedError(): TransactionDriftError {
  return new TransactionDriftError(
    'the server has answered BEGIN by warning 25001: the session was in a transaction already. ' +
      `The connection was closed. ${CAUSE}`,
  )
}

function otherTagError(tag: string | undefined): TransactionDriftError {
  const answer = tag === undefined ? 'without a command tag' : `by the tag ${tag}`
  return new TransactionDriftError(
    `BEGIN was answered ${answer}, so something has sent another command instead. ${CAUSE}`,
  )
}
