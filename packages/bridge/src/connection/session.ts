import {
  describe,
  notSent,
  SessionKilledError,
  StatementSkippedError,
  type TransactionClosedError,
  TransactionDriftError,
} from '../errors.ts'
import { noticeChannel, queryChannel } from '../instrumentation/channels.ts'
import { publishSavepoint, QueryTrace } from '../instrumentation/traces.ts'
import type { Frame } from '../transaction/frame.ts'
import { isUnder, type Scope, mayWork } from '../transaction/scope.ts'
import { TransactionStack } from '../transaction/stack.ts'
import { Turns } from '../transaction/turns.ts'
import { requestCancel } from '../wire/cancel-request.ts'
import {
  isFatal,
  isReadTimeout,
  isServerError,
  type PgClient,
  type QueryResult,
} from '../protocol/pg.ts'
import { forgetting, sendNamed } from './named.ts'
import { withClientError } from '../database/control-errors.ts'
import type { DeferredCommand } from '../wire/send-queue.ts'
import type { Settings } from '../settings.ts'
import { PreparedNames } from './prepared-names.ts'
import type { Statement } from '../wire/statement.ts'
import { Transactions } from './transactions.ts'
import { turnTimeoutClock } from './turn-timeout.ts'
import { Dispatcher, type DispatcherObserver } from '../wire/dispatcher.ts'

let connections = 0

/** One physical connection: a client of `pg`, the frames that are open on it, and its queue. */
export class Connection implements DispatcherObserver {
  /** Its number in this process. */
  readonly id: number = ++connections
  readonly client: PgClient
  readonly database: string | undefined
  readonly #stream: unknown
  readonly stack = new TransactionStack()
  readonly turns: Turns
  readonly dispatcher: Dispatcher
  readonly transactions: Transactions
  readonly names: PreparedNames
  /** Why the connection is gone. */
  lost: unknown
  /** A statement may still run on it, or have left a transaction open, unknown to the bridge. */
  isDoubtful = false
  /** The code that has the physical client in its hands, while it has. */
  clientScope: Scope | undefined

  /** `stream` makes sockets, where the user's configuration does. */
  constructor(
    client: PgClient,
    send: PgClient['query'],
    database: object,
    settings: Settings,
    stream?: unknown,
  ) {
    this.client = client
    this.#stream = stream
    this.database = settings.name
    this.dispatcher = new Dispatcher(client, send, this, settings)
    this.names = new PreparedNames(client)
    this.turns = new Turns(
      this.stack,
      turnTimeoutClock(settings.turnTimeout, this.dispatcher, this.stack),
    )
    this.transactions = new Transactions(this, database, settings)
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
    const refusal = frame && this.refusal(frame, scope)
    if (refusal !== undefined) return Promise.reject(refusal)
    if (this.clientScope !== undefined && scope !== undefined && isUnder(scope, this.clientScope)) {
      return Promise.reject(withClientError())
    }
    this.names.own(statement)
    if (frame === undefined && statement.name !== undefined) return sendNamed(this, statement)
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

  /** Tells of a statement, where somebody listens. */
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

  /** Sends a command of the bridge at once, behind what is queued. */
  command(
    statement: Statement,
    frame: Frame | undefined,
    onSend?: () => void,
  ): Promise<QueryResult> {
    const trace = this.trace(statement, frame)
    const answer = this.dispatcher.send(statement, frame, () => {
      onSend?.()
      trace?.left(this)
    })
    return trace === undefined ? answer : trace.follow(answer)
  }

  /** Why a statement of that frame must not be sent, if so. */
  refusal(frame: Frame, scope: Scope | undefined): TransactionClosedError | undefined {
    return mayWork(frame, scope) ? undefined : notSent(frame)
  }

  /** Called while the client is borrowed: it has no other listener, and an error without one ends the process. */
  readonly onError = (error: Error): void => {
    if (this.lost !== undefined) return
    this.lost = error
    const root = this.stack.root
    if (root !== undefined) {
      for (const frame of this.stack.frames) frame.failure ??= error
      this.stack.end(root, 'lost')
    }
    this.dispatcher.dropAll(error)
    this.turns.advance(notSent)
  }

  readonly onNotice = (notice: { message?: string; severity?: string; code?: string }): void => {
    if (!noticeChannel.hasSubscribers) return
    noticeChannel.publish({
      database: this.database,
      connection: this.id,
      severity: notice.severity,
      code: notice.code,
      message: notice.message ?? '',
    })
  }

  onDeferredSent(
    deferred: readonly DeferredCommand[],
  ): (completed: number, error?: unknown) => void {
    if (deferred.length === 0) return ignore
    const traces = queryChannel.hasSubscribers
      ? deferred.map((command) => this.#traceOf(command))
      : []
    return (completed, error) => {
      // What comes behind the one that failed was skipped by the server. An error that is not the
      // server's (a timeout of the client's) tells nothing of them: they will take effect.
      const isTold = error === undefined || isServerError(error)
      traces.slice(0, isTold ? completed : deferred.length).forEach((trace) => trace?.answered())
      const failed = deferred[completed]
      if (failed === undefined || error === undefined || !isTold) return
      traces[completed]?.failed(error)
      this.#onDeferredFailed(failed, error)
    }
  }

  #traceOf(command: DeferredCommand): QueryTrace | undefined {
    const trace = QueryTrace.start({
      database: this.database,
      layer: command.frame.layer,
      sql: command.sql,
      control: command.op === 'set' ? 'set-transaction' : command.op,
      piggybacked: true,
      frame: command.frame,
    })
    trace?.left(this)
    return trace
  }

  async onCancel(reason: unknown): Promise<void> {
    // the server waits for the reader of a stream: there is nothing to cancel
    if (this.dispatcher.stream !== undefined) return this.end(reason as Error)
    try {
      await requestCancel(this.client, this.#stream)
    } catch (error) {
      // what can not be cancelled in peace ends with its session
      return this.end(error as Error)
    }
    if (reason instanceof SessionKilledError) this.end(reason)
  }

  /** Ends the session now: what is open on it is rolled back by the server. */
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
      this.#onFailed(frame, statement, statement?.said(error) ?? error)
      return error
    }
    if (statement !== undefined && result !== undefined) this.names.hasAnswered(statement, result)
    return frame?.ended ? undefined : this.#drift()
  }

  #onFailed(frame: Frame | undefined, statement: Statement | undefined, error: unknown): void {
    if (frame !== undefined && statement?.opens) this.dispatcher.drop(frame, error)
    // pg has stopped waiting, but the statement runs on: nobody else may get the client meanwhile
    const isRunning = this.client.readyForQuery === false && !isServerError(error)
    if (isRunning && this.dispatcher.hasTimeouts) this.isDoubtful = true
    // it may have begun a transaction, and the status byte comes only after the error
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
    if (name !== undefined && frame !== undefined) {
      // of its failure the statement behind it will tell
      if (this.names.isStale(name) && frame.failure === undefined) {
        this.command(forgetting(name), frame).catch(() => undefined)
      }
      const answer = this.dispatcher.send(statement, frame, trace && (() => trace.left(this)))
      answer.catch((error: unknown) => this.names.hasFailed(name, error))
      return answer
    }
    return this.dispatcher.send(statement, frame, trace && (() => trace.left(this)))
  }

  /** A control command that was acknowledged before it was sent has failed on the server. */
  #onDeferredFailed(command: DeferredCommand, error: unknown): void {
    const { frame, op } = command
    // of a savepoint that could not be opened, narrowed or released the transaction is left aborted
    const victim = op === 'savepoint' || op === 'release' ? frame.parent : frame
    // a connection that takes no BEGIN is in a state that nobody knows
    if (op === 'begin') this.isDoubtful = true
    if (op === 'begin' || op === 'savepoint') {
      frame.failure ??= error
      const ended = this.stack.end(frame, 'rolled-back')
      for (const each of ended) publishSavepoint(this.database, each, 'rolled-back')
      this.dispatcher.drop(frame, error)
    }
    victim?.abort(error)
    this.turns.advance(notSent)
  }

  /** Compares the server's status byte with the stack. It can be trusted after a success. */
  #drift(): TransactionDriftError | undefined {
    // one that left together with this one has failed: the status is still that of before
    if (this.client.readyForQuery === false) return undefined
    const status = this.client.getTransactionStatus()
    const root = this.stack.root
    if (root === undefined) {
      if (status !== 'T' && status !== 'E') return undefined
      return new TransactionDriftError(
        `the statement has opened a transaction that nobody holds (status ${status}). ` +
          'Open it with transaction() of a layer, or with BEGIN as a statement of its own on a client from pool.connect(). ' +
          'The connection will be closed, so nothing of it is kept.',
      )
    }
    if (status === 'E') {
      // the error is known: of one that left together with this one
      if (this.stack.frames.some(({ failure }) => failure !== undefined)) return undefined
      // only who speaks to the client directly can have swallowed the error
      this.stack.top?.abort(
        new TransactionDriftError('a statement has failed in the hands of withClient(), unheard'),
      )
      return undefined
    }
    if (status !== 'I' || root.state === 'ending' || this.transactions.isUnsent(root))
      return undefined
    const drift = new TransactionDriftError(
      `${describe(root)} is gone: the server says that no transaction is open (status I). ` +
        'Somebody ended it behind the bridge, so how it ended is not known: a COMMIT or ROLLBACK in a procedure, or among several commands in one text.',
    )
    for (const frame of this.stack.frames) frame.failure ??= drift
    this.stack.end(root, 'unknown')
    this.turns.advance(notSent)
    return drift
  }
}

function ignore(): void {}
