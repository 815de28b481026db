import { counter } from '../core.ts'
import {
  ControlStatementError,
  SessionKilledError,
  StatementSkippedError,
  type TransactionClosedError,
} from '../errors.ts'
import { noticeChannel, queryChannel } from '../instrumentation/channels.ts'
import { publishSavepoint, QueryTrace } from '../instrumentation/traces.ts'
import {
  isFatal,
  isReadTimeout,
  isServerError,
  type PgClient,
  type QueryResult,
} from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import { notSent, placeOf } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { isUnder, type Scope, mayWork } from '../transaction/scope.ts'
import { TransactionStack } from '../transaction/stack.ts'
import { Turns } from '../transaction/turns.ts'
import { requestCancel } from '../wire/cancel-request.ts'
import type { DispatcherObserver } from '../wire/dispatcher-observer.ts'
import { Dispatcher } from '../wire/dispatcher.ts'
import type { DeferredCommand } from '../wire/deferred-command.ts'
import type { Statement } from '../wire/statement.ts'
import { type OnDeferredAnswered, watchDeferred } from './deferred-events.ts'
import { findDrift } from './drift.ts'
import { forgetting, PreparedNames, sendNamed } from './prepared-names.ts'
import { turnTimeoutClock } from './turn-timeout.ts'

const connections = counter('connections')

/**
 * One session of the server, as the bridge sees it: a client of `pg`, the frames that are open on it, whose
 * turn it is, and its queue. It knows nothing of how transactions begin and end.
 */
export class Session implements DispatcherObserver {
  /** Its number in this process. */
  readonly id: number = ++connections.last
  readonly client: PgClient
  readonly settings: Settings
  /** What scopes of its database are known by. Only its identity counts. */
  readonly scopeKey: object
  readonly stack = new TransactionStack()
  readonly turns: Turns
  readonly dispatcher: Dispatcher
  readonly names: PreparedNames
  readonly #stream: unknown
  /** The reason why the session is gone. */
  lost: unknown
  /** A statement may still run on it, or have left a transaction open, unknown to the bridge. */
  isDoubtful = false
  /** Something else has begun the transaction that the session is in, and must end it. */
  hasForeignTransaction = false
  /** The scope of withClient(), while its code has the physical client. */
  clientScope: Scope | undefined

  /** `owner` has the client's `query()`. `stream` makes sockets, where the user's configuration has such a function. */
  constructor(
    client: PgClient,
    owner: Pick<PgClient, 'query'>,
    scopeKey: object,
    settings: Settings,
    stream?: unknown,
  ) {
    this.client = client
    this.settings = settings
    this.scopeKey = scopeKey
    this.#stream = stream
    this.dispatcher = new Dispatcher(client, owner, this, settings)
    this.names = new PreparedNames(client)
    const clock = turnTimeoutClock(settings.turnTimeout, this.dispatcher, this.stack)
    this.turns = new Turns(this.stack, clock)
  }

  /** The name of the database, for events. */
  get database(): string | undefined {
    return this.settings.name
  }

  get processID(): number | null | undefined {
    return this.client.processID
  }

  /** Sends a statement for a frame when it has its turn, or outside any. */
  execute(
    statement: Statement,
    frame: Frame | undefined,
    scope: Scope | undefined,
  ): Promise<QueryResult> {
    const closed = frame && this.closedError(frame, scope)
    if (closed !== undefined) return Promise.reject(closed)
    if (this.clientScope !== undefined && scope !== undefined && isUnder(scope, this.clientScope)) {
      return Promise.reject(withClientError(frame))
    }
    const isNamed = statement.name !== undefined
    if (isNamed) this.names.own(statement)
    if (isNamed && frame === undefined) return sendNamed(this, statement)
    const trace = this.trace(statement, frame)
    const answer =
      frame === undefined
        ? this.#send(statement, undefined, trace)
        : this.turns.run(
            frame,
            () => this.#send(statement, this.stack.innermostOf(frame), trace),
            undefined,
            statement.signal,
          )
    return trace === undefined ? answer : trace.follow(answer)
  }

  /** Starts the event of a statement, if anybody listens. */
  trace(statement: Statement, frame: Frame | undefined): QueryTrace | undefined {
    if (!queryChannel.hasSubscribers) return undefined
    return QueryTrace.start({
      database: this.database,
      layer: statement.layer,
      sql: statement.text,
      parameters: statement.parameters,
      statementName: statement.name,
      control: statement.command?.kind,
      frame: frame && this.stack.innermostOf(frame),
    })
  }

  /** Sends a command of the bridge at once, behind all that is queued. */
  command(
    statement: Statement,
    frame: Frame | undefined,
    onSend?: () => void,
  ): Promise<QueryResult> {
    const trace = this.trace(statement, frame)
    if (trace === undefined) return this.dispatcher.send(statement, frame, onSend)
    const answer = this.dispatcher.send(statement, frame, () => {
      onSend?.()
      trace.left(this)
    })
    return trace.follow(answer)
  }

  /** The error for a statement of that frame, if code in `scope` may not send one. */
  closedError(frame: Frame, scope: Scope | undefined): TransactionClosedError | undefined {
    return mayWork(frame, scope) ? undefined : notSent(frame)
  }

  /** Listens while the client is checked out: it has no other listener, and an error without one ends the process. */
  readonly onError = (error: Error): void => {
    if (this.lost !== undefined) return
    this.lost = error
    const { root } = this.stack
    if (root !== undefined) {
      for (const frame of this.stack.frames) frame.failure ??= error
      this.stack.end(root, 'lost')
    }
    this.dispatcher.dropAll(error)
    this.turns.advance(notSent)
  }

  readonly onNotice = (notice: { message?: string; severity?: string; code?: string }): void => {
    // active_sql_transaction: there is already a transaction in progress.
    if (notice.code === '25001') this.dispatcher.sender.pipelines.beginCheck.onWarning()
    if (!noticeChannel.hasSubscribers) return
    noticeChannel.publish({
      database: this.database,
      connection: this.id,
      severity: notice.severity,
      code: notice.code,
      message: notice.message ?? '',
    })
  }

  onDeferredSent(deferred: readonly DeferredCommand[]): OnDeferredAnswered {
    return watchDeferred(this, deferred, (command, error) => this.#onDeferredFailed(command, error))
  }

  onForeignTransaction(frame: Frame, error: Error): void {
    this.hasForeignTransaction = true
    this.openingFailed(frame, error)
  }

  async onCancel(reason: unknown): Promise<void> {
    // The server waits for the reader of a stream: there is nothing to cancel.
    if (this.dispatcher.stream !== undefined) return this.end(reason as Error)
    try {
      await requestCancel(this.client, this.#stream)
    } catch (error) {
      // If the statement cannot be cancelled, its session ends.
      return this.end(error as Error)
    }
    if (reason instanceof SessionKilledError) this.end(reason)
  }

  /** Ends the session now: the server rolls back the transaction that is open on it. */
  end(reason: Error): void {
    this.onError(reason)
    this.client.connection.stream.destroy()
  }

  onCompleted(
    frame: Frame | undefined,
    statement: Statement | undefined,
    error: unknown,
    result: QueryResult | undefined,
  ): unknown {
    if (error !== undefined) {
      this.#onFailed(frame, statement, statement?.serverErrorBehind(error) ?? error)
      return error
    }
    if (statement !== undefined && result !== undefined) this.names.hasAnswered(statement, result)
    if (frame?.ended) return undefined
    const drift = findDrift(this.client, this.stack, this.dispatcher.queue, statement)
    if (drift !== undefined) this.#endUnknown(drift)
    return drift
  }

  /**
   * BEGIN or SAVEPOINT has failed: the frame was never open. What waits in it is dropped, and the frame
   * around it is aborted.
   */
  openingFailed(frame: Frame, error: unknown): void {
    frame.failure ??= error
    const ended = this.stack.end(frame, 'rolled-back')
    for (const each of ended) publishSavepoint(this.database, each, 'rolled-back')
    this.dispatcher.drop(frame, error)
    if (frame.parent !== undefined) frame.parent.abort(error)
    // Nobody knows the state of a connection that takes no BEGIN.
    else if (!this.hasForeignTransaction) this.isDoubtful = true
    this.turns.advance(notSent)
  }

  #onFailed(frame: Frame | undefined, statement: Statement | undefined, error: unknown): void {
    if (frame !== undefined && statement?.opens && !frame.ended) this.openingFailed(frame, error)
    // pg has stopped waiting, but the statement goes on: nobody else may get the client meanwhile.
    const isRunning = this.client.readyForQuery === false && !isServerError(error)
    if (isRunning && this.dispatcher.hasTimeouts) this.isDoubtful = true
    // It may have begun a transaction, and the status byte comes only after the error.
    if (statement?.command?.kind === 'several') this.isDoubtful = true
    if (isServerError(error) || isReadTimeout(error)) frame?.abort(error)
    if (error instanceof StatementSkippedError) frame?.abort(error.cause)
    if (isFatal(error)) this.onError(error as Error)
  }

  #send(
    statement: Statement,
    frame: Frame | undefined,
    trace: QueryTrace | undefined,
  ): Promise<QueryResult> {
    const { name } = statement
    // If this fails, the statement behind it reports the error.
    if (name !== undefined && frame?.failure === undefined && this.names.isStale(name)) {
      this.command(forgetting(name), frame).catch(() => undefined)
    }
    const answer = this.dispatcher.send(statement, frame, trace && (() => trace.left(this)))
    if (name !== undefined && frame !== undefined) {
      answer.catch((error: unknown) => this.names.hasFailed(name, error))
    }
    return answer
  }

  /** A control command that was acknowledged before it was sent has failed on the server. */
  #onDeferredFailed({ frame, op }: DeferredCommand, error: unknown): void {
    if (op === 'begin' || op === 'savepoint') return this.openingFailed(frame, error)
    // A RELEASE that fails leaves the frame around the savepoint aborted.
    if (op === 'release') frame.parent?.abort(error)
    else frame.abort(error)
    this.turns.advance(notSent)
  }

  /** Somebody has ended the transaction behind the bridge. */
  #endUnknown(drift: Error): void {
    const { root } = this.stack
    if (root === undefined) return
    for (const frame of this.stack.frames) frame.failure ??= drift
    this.stack.end(root, 'unknown')
    this.turns.advance(notSent)
  }
}

/** The error for a statement that would wait for the code which sends it. */
function withClientError(frame: Frame | undefined): ControlStatementError {
  return new ControlStatementError(
    'a statement was sent inside withClient(), which holds the connection until it ends, so it would wait for ever. ' +
      `Use the client that withClient() gives. Nothing was sent${frame === undefined ? '' : `. ${placeOf(frame)}`}`,
  )
}
