import { setImmediate } from 'node:timers'
import { notSent } from '../transaction/frame-errors.ts'
import type { ObservedQuery } from '../protocol/observed-query.ts'
import type { PipelineQuery } from '../protocol/pipeline-query.ts'
import { acknowledged, isReadTimeout, type PgClient, type QueryResult } from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import type { CallSite } from '../transaction/call-site.ts'
import type { Frame } from '../transaction/frame.ts'
import type { BatchCollector } from './batch-collector.ts'
import { CancelRequests } from './cancel-request.ts'
import type { DispatcherObserver } from './dispatcher-observer.ts'
import { finishWatch } from '../protocol/idle.ts'
import type { IdleTimeout } from './idle-timeout.ts'
import { QuerySender } from './query-sender.ts'
import { type Payload, QueueEntry } from './queue-entry.ts'
import { SendQueue } from './send-queue.ts'
import type { Statement } from './statement.ts'
import { streamTimeout } from './stream-timeout.ts'

/**
 * Sends what is queued on one physical connection, in order and one thing at a time. Deferred
 * commands go in front of the next statement; statements of one transaction are pipelined.
 */
export class Dispatcher {
  readonly queue = new SendQueue()
  readonly sender: QuerySender
  readonly #client: PgClient
  readonly #observer: DispatcherObserver
  readonly #settings: Pick<Settings, 'lazy' | 'turnTimeout'>
  readonly #cancelRequests: CancelRequests
  readonly #streamTimeout: IdleTimeout<QueueEntry>
  /** Statements of one transaction are pipelined. */
  readonly #pipelines: boolean
  /** `pg` may give a statement up while it still runs. */
  hasTimeouts: boolean
  /** What is being answered. */
  #current: QueueEntry | undefined
  #completedAt = 0
  /** When the client that withClient() has lent last had something to do. */
  #lentSince = 0
  /** The queue is sent at the end of this tick. */
  #isScheduled = false
  #becomesIdle: PromiseWithResolvers<void> | undefined

  constructor(
    client: PgClient,
    owner: Pick<PgClient, 'query'>,
    observer: DispatcherObserver,
    settings: Pick<Settings, 'lazy' | 'turnTimeout'>,
  ) {
    this.#settings = settings
    this.#client = client
    this.#observer = observer
    this.hasTimeouts = Boolean(client.connectionParameters?.query_timeout)
    // A pipeline is one query to the client, which would give all its statements up after that time.
    this.#pipelines = settings.lazy !== false && !this.hasTimeouts
    this.#cancelRequests = new CancelRequests((reason) => observer.onCancel(reason))
    this.#streamTimeout = streamTimeout(
      settings.turnTimeout,
      this.queue,
      () => this.idleSince,
      () => this.#current,
    )
    this.sender = new QuerySender(client, owner, this.queue, observer, (entry, error, result) =>
      this.#report(entry, error, result),
    )
  }

  /** When something last happened here, by `performance.now()`. */
  get idleSince(): number {
    if (this.stream !== undefined) return this.stream.suspendedAt
    if (this.#current === undefined) return this.#completedAt
    // withClient() does nothing while its client has nothing to do.
    const isLent = this.#current.keepsConnection && this.#current.statement === undefined
    return isLent && this.#client.readyForQuery === true ? this.#lentSince : performance.now()
  }

  /** What keeps the connection to itself until the user's code ends it. */
  get keeper(): QueueEntry | undefined {
    return this.#current?.keepsConnection ? this.#current : undefined
  }

  /** The stream that keeps the connection to itself and waits for its reader. */
  get stream(): ObservedQuery | undefined {
    return this.sender.stream
  }

  /** Whether nothing is queued or being answered. */
  get isIdle(): boolean {
    return this.#current === undefined && this.queue.entries.length === 0
  }

  /** Resolves once nothing is queued or being answered; `undefined` if that is so now. */
  whenIdle(): Promise<void> | undefined {
    if (this.isIdle) return undefined
    this.#becomesIdle ??= Promise.withResolvers()
    return this.#becomesIdle.promise
  }

  /** Sends a statement behind all that is queued. */
  send(statement: Statement, frame: Frame | undefined, onSend?: () => void): Promise<QueryResult> {
    return this.#enqueue(frame, { statement }, onSend)
  }

  /** Sends a query of the bridge's own, which can be sent more than once. */
  sendQuery(query: PipelineQuery, frame: Frame, onSend?: () => void): Promise<QueryResult> {
    return this.#enqueue(frame, { query }, onSend)
  }

  /** Runs `fn`, which sends statements for `statement`, while nothing else is sent. */
  exchange(
    statement: Statement,
    fn: (send: (statement: Statement) => Promise<QueryResult>) => Promise<QueryResult>,
  ): Promise<QueryResult> {
    const work = (): Promise<QueryResult> => fn((sent) => this.sender.request(sent))
    return this.#enqueue(undefined, { statement, work })
  }

  /** Sends the deferred commands, then runs `work`, which uses the client while nothing else does. */
  runExclusively<T>(
    frame: Frame | undefined,
    work: () => Promise<T>,
    callSite?: CallSite,
  ): Promise<T> {
    return this.#enqueue(frame, { work, callSite })
  }

  /** The client that is lent has something to do, or has done it. */
  noteLentClient(): void {
    this.#lentSince = performance.now()
  }

  /** Sends nothing while the statements of a batch come. */
  collect(frame: Frame): BatchCollector {
    return this.queue.collect(frame, () => this.#sendSoon())
  }

  /** Cancels what is being answered, if it belongs to the frame. */
  cancel(frame: Frame, reason: unknown): void {
    const { frame: current, statement } = this.#current ?? {}
    if (current?.isInside(frame) && !statement?.undoes) this.#cancel(reason)
  }

  /**
   * Removes the queued entries of a frame that has ended. A queued ROLLBACK or RELEASE resolves:
   * there is nothing left to undo. If the frame could not be opened, because of `failure`, the rest
   * reject one turn later, so that `Promise.all` rejects with the cause.
   */
  drop(frame: Frame, failure?: unknown): void {
    frame.failure ??= failure
    // Its reader would keep the commands waiting that end the frame on the server.
    if (this.#current?.frame?.isInside(frame)) this.stream?.fail(notSent(this.#current.frame))
    for (const entry of this.queue.drop(frame)) {
      const reject = (): void => entry.reject(notSent(entry.frame ?? frame))
      if (entry.statement?.undoes) this.#report(entry, undefined, acknowledged(''))
      else if (failure === undefined) reject()
      else setImmediate(reject)
    }
    this.#notifyIdle()
  }

  /** Rejects all entries: the connection is gone. */
  dropAll(error: unknown): void {
    for (const entry of this.queue.dropAll()) entry.reject(error)
    this.#notifyIdle()
  }

  /** Whether anything of the frame is queued or being answered. */
  concerns(frame: Frame): boolean {
    return this.#current?.frame?.isInside(frame) === true || this.queue.hasEntriesOf(frame)
  }

  #enqueue<T>(frame: Frame | undefined, payload: Payload, onSend?: () => void): Promise<T> {
    const { statement } = payload
    const signal = statement?.signal
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (statement?.hasTimeout) this.hasTimeouts = true
    const entry = new QueueEntry(frame, payload, onSend, this.#pipelines)
    if (this.#current !== undefined || this.queue.entries.length > 0) {
      // It will be sent in a callback of pg, or in the tick of another entry.
      entry.keepContext()
      if (this.keeper !== undefined) entry.noteWait()
    }
    this.queue.push(entry)
    if (signal !== undefined) this.#watch(entry, signal)
    this.#sendSoon()
    return entry.answer as Promise<T>
  }

  /** Removes an entry from the queue when its signal is aborted, or cancels it. */
  #watch(entry: QueueEntry, signal: AbortSignal): void {
    const onAbort = (): void => {
      if (this.#current === entry) return this.#cancel(signal.reason)
      if (!this.queue.remove(entry)) return
      entry.reject(signal.reason)
      this.#notifyIdle()
    }
    signal.addEventListener('abort', onAbort, { once: true })
  }

  #cancel(reason: unknown): void {
    const entry = this.#current
    const isFinished = finishWatch(this.#client)
    this.#cancelRequests.start(reason, () => this.#current !== entry && isFinished())
  }

  /**
   * Sends the first entry. If later ones may be pipelined with it, it waits for the end of the tick:
   * by then everything has come that the program sends together, through whichever layer.
   */
  #sendSoon(): void {
    if (this.#current !== undefined || this.#isScheduled) return
    const [first] = this.queue.entries
    if (first === undefined) return
    if (!this.#pipelines || !first.mayGather) return this.#sendNext()
    this.#isScheduled = true
    process.nextTick(this.#sendScheduled)
  }

  readonly #sendScheduled = (): void => {
    this.#isScheduled = false
    if (this.#current === undefined) this.#sendNext()
  }

  #sendNext(): void {
    const entry = this.queue.shift()
    if (entry === undefined) return
    let others = entry.isPipelinable && !entry.group ? this.queue.shiftPipelinable() : NONE
    if (others.length > 0 && this.#settings.lazy !== true && this.sender.isWrapped) {
      this.queue.group(entry, others)
      others = NONE
    }
    this.#current = entry
    const skipped = entry.group?.skipped(entry)
    // A turn later, so that `Promise.all` rejects with the first error.
    if (skipped !== undefined) return void setImmediate(() => this.#complete(entry, skipped))
    if (entry.caller === undefined) this.#send(entry, others)
    else entry.caller.runInAsyncScope(() => this.#send(entry, others))
    if (entry.keepsConnection && this.#current === entry) this.#streamTimeout.start()
  }

  #send(entry: QueueEntry, others: readonly QueueEntry[]): void {
    this.sender.send(entry, others, (error, result) => {
      if (error === undefined || error === null) this.#complete(entry, undefined, result)
      else this.#fail(entry, error)
    })
  }

  #fail(entry: QueueEntry, reason: unknown): void {
    const error = entry.group === undefined ? reason : entry.group.errorOf(entry, reason)
    // pg has given this statement up. In a transaction it is cancelled: ROLLBACK would wait for it.
    const isCurrent = this.#current === entry && entry.frame !== undefined
    if (isCurrent && isReadTimeout(error)) this.#cancel(error)
    this.#complete(entry, error)
  }

  /** Completes the current entry. Waits for a CancelRequest in flight: it could hit the next statement. */
  #complete(entry: QueueEntry, error: unknown, result?: QueryResult): void {
    // A stream can end twice: when it is left, and when its session ends because of that.
    if (this.#current !== entry) return
    const { inFlight, isRepeating } = this.#cancelRequests
    if (inFlight !== undefined) {
      void inFlight.then(() => this.#complete(entry, error, result))
      return
    }
    this.#report(entry, error, result)
    this.#current = undefined
    if (isRepeating && !isReadTimeout(error)) this.#cancelRequests.stop()
    if (entry.keepsConnection) this.#streamTimeout.stop()
    this.#completedAt = performance.now()
    this.#sendSoon()
    this.#notifyIdle()
  }

  /** Settles an entry with what the server has answered. */
  #report(entry: QueueEntry, error: unknown, result?: QueryResult): void {
    const failure = this.#observer.onCompleted(entry.frame, entry.statement, error, result)
    if (error !== undefined) entry.fail(error)
    else if (failure === undefined) entry.resolve(result)
    else entry.reject(failure)
  }

  #notifyIdle(): void {
    if (this.#becomesIdle === undefined || !this.isIdle) return
    this.#becomesIdle.resolve()
    this.#becomesIdle = undefined
  }
}

const NONE: readonly QueueEntry[] = []
