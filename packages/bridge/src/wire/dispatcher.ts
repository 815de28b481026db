import { setImmediate } from 'node:timers'
import { notSent } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { CancelRequests } from './cancelling.ts'
import type { ObservedQuery } from '../protocol/observed-query.ts'
import type { PipelineQuery } from '../protocol/pipeline-query.ts'
import { answerOf } from './idle.ts'
import { acknowledged, isReadTimeout, type PgClient, type QueryResult } from '../protocol/pg.ts'
import type { BatchCollector } from './batch-collector.ts'
import { SendQueue, type DeferredCommand } from './send-queue.ts'
import { Quiet } from './quiet.ts'
import { type Done, type OnDeferredSent, QuerySender } from './query-sender.ts'
import type { Settings } from '../settings.ts'
import type { Statement } from './statement.ts'
import { watchStream } from './stream-timeout.ts'
import { type Speak, QueueEntry } from './queue-entry.ts'

/** Who is told what happened on the wire. */
export interface DispatcherObserver {
  /** Control statements leave together with a statement, or with nothing. */
  onDeferredSent: OnDeferredSent
  /** The session is to end now. */
  end(reason: Error): void
  /** What is under way is not wanted any more. Resolves when that can hit nothing which is sent later. */
  onCancel(reason: unknown): Promise<void>
  /** A trip has ended. Gives back its error, or one where the server is not where it should be. */
  onCompleted(
    frame: Frame | undefined,
    statement: Statement | undefined,
    error: unknown,
    result: QueryResult | undefined,
  ): unknown
}

/**
 * The queue of one physical connection: statements leave in the order in which they came, one trip
 * at a time, and control statements are held back to ride with the statement behind them.
 */
export class Dispatcher {
  readonly #client: PgClient
  readonly sender: QuerySender
  readonly #observer: DispatcherObserver
  /** What waits: control statements are held back in it. */
  readonly queue = new SendQueue()
  #current: QueueEntry | undefined
  readonly #cancelRequests: CancelRequests
  #landedAt = 0
  readonly #quiet = new Quiet()
  /** What stands in front leaves at the end of the tick. */
  #isLeaving = false
  /** What is issued together in a transaction leaves together. */
  readonly #joins: boolean
  readonly #turnTimeout: number
  #hasTimeouts = false

  constructor(
    client: PgClient,
    send: PgClient['query'],
    observer: DispatcherObserver,
    { lazy, turnTimeout }: Pick<Settings, 'lazy' | 'turnTimeout'>,
  ) {
    this.#joins = lazy
    this.#turnTimeout = turnTimeout
    this.#cancelRequests = new CancelRequests((reason) => observer.onCancel(reason))
    this.#client = client
    this.sender = new QuerySender(
      client,
      send,
      (deferred) => observer.onDeferredSent(deferred),
      (entry, error, result) => this.#settle(entry, error, result),
      (items) => this.queue.putBack(items),
      (reason) => observer.end(reason),
    )
    this.#observer = observer
  }

  /** Whether `pg` may give a statement up while it still runs. */
  get hasTimeouts(): boolean {
    return this.#hasTimeouts || this.#timesOut
  }

  /** Whether the client gives up each statement after a time. */
  get #timesOut(): boolean {
    return Boolean(this.#client.connectionParameters?.query_timeout)
  }

  /** When something last happened here, as `performance.now()` tells it. */
  get idleSince(): number {
    if (this.stream !== undefined) return this.stream.suspendedAt
    return this.#current ? performance.now() : this.#landedAt
  }

  /** What keeps the connection to itself between two of its pages. */
  get stream(): ObservedQuery | undefined {
    return this.sender.stream
  }

  /** Sends a statement behind all that is queued. `onSend` is called when it leaves. */
  send(statement: Statement, frame: Frame | undefined, onSend?: () => void): Promise<QueryResult> {
    this.#hasTimeouts ||= statement.hasTimeout
    return this.#enqueue(new QueueEntry(frame, statement, onSend))
  }

  /** Lets `fn` send statements, one after the other, while nothing else is sent. */
  converse(
    statement: Statement,
    fn: (send: (statement: Statement) => Promise<QueryResult>) => Promise<QueryResult>,
  ): Promise<QueryResult> {
    this.#hasTimeouts ||= statement.hasTimeout
    return this.#enqueue(
      new QueueEntry(undefined, statement, undefined, async (deferred) => {
        await this.#sendDeferred(deferred)
        return fn((sent) => promised((done) => this.sender.query(sent, done)))
      }),
    )
  }

  /** Lets nothing leave while the statements of a batch come. */
  collect(frame: Frame): BatchCollector {
    return this.queue.collect(frame, this.#canPipeline, () => this.#leaveSoon())
  }

  /** Has the server give up what is under way, if that belongs to the frame. */
  cancel(frame: Frame, reason: unknown): void {
    const { frame: current, statement } = this.#current ?? {}
    if (current?.isInside(frame) && !statement?.undoes) this.#cancel(reason)
  }

  /** Sends a query of the bridge's own, which can be sent more than once. */
  carry(pipelineQuery: PipelineQuery, frame: Frame, onSend?: () => void): Promise<QueryResult> {
    const sendPipeline: Speak = (deferred) =>
      promised((done) => this.sender.sendPipeline(pipelineQuery, deferred, done, onSend))
    return this.#enqueue(new QueueEntry(frame, undefined, onSend, sendPipeline))
  }

  /** Sends what is held back, then lets `fn` speak to the client while nothing else does. */
  bindHandle<T>(frame: Frame | undefined, fn: () => Promise<T>): Promise<T> {
    const speak: Speak = async (deferred) => {
      await this.#sendDeferred(deferred)
      return fn()
    }
    const entry = new QueueEntry(frame, undefined, undefined, speak)
    entry.hasOwnStack = true
    return this.#enqueue(entry)
  }

  async #sendDeferred(deferred: readonly DeferredCommand[]): Promise<void> {
    if (deferred.length > 0)
      await promised((done) => this.sender.pipeline(deferred, undefined, done))
  }

  /**
   * Takes all of a frame that is over out of the queue. What would take it back has nothing left to
   * do. Of a `failure` to open it who waits for all hears first.
   */
  drop(frame: Frame, failure?: unknown): void {
    frame.failure ??= failure
    for (const entry of this.queue.drop(frame)) {
      const refuse = (): void => entry.refuse(notSent(entry.frame ?? frame))
      if (entry.statement?.undoes) this.#settle(entry, undefined, acknowledged(''))
      else if (failure === undefined) refuse()
      else setImmediate(refuse)
    }
    this.#tellQuiet()
  }

  /** Refuses everything that waits: the connection is gone. */
  dropAll(error: unknown): void {
    for (const entry of this.queue.dropAll()) entry.refuse(error)
    this.#tellQuiet()
  }

  /** Whether anything of the frame is under way, or waits. */
  concerns(frame: Frame): boolean {
    return this.#current?.frame?.isInside(frame) === true || this.queue.hasEntriesOf(frame)
  }

  /** Resolves once no statement is queued or under way; `undefined` where that is so now. */
  quiet(): Promise<void> | undefined {
    return this.isQuiet ? undefined : this.#quiet.wait()
  }

  /** Whether no statement is queued or under way. */
  get isQuiet(): boolean {
    return this.#current === undefined && !this.queue.hasEntries
  }

  #enqueue<T>(entry: QueueEntry): Promise<T> {
    const signal = entry.statement?.signal
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.sender.observed !== undefined) entry.waits()
    // it will leave in a callback of pg, or of another's tick
    if (this.#current !== undefined || this.queue.hasEntries) entry.keepContext()
    this.queue.push(entry)
    if (signal !== undefined) this.#watch(entry, signal)
    this.#leaveSoon()
    return entry.answer as Promise<T>
  }

  /** Takes a trip out of the queue when it is not wanted any more, or ends it under way. */
  #watch(entry: QueueEntry, signal: AbortSignal): void {
    const onAbort = (): void => {
      if (this.#current === entry) return this.#cancel(signal.reason)
      if (!this.queue.remove(entry)) return
      entry.refuse(signal.reason)
      this.#tellQuiet()
    }
    signal.addEventListener('abort', onAbort, { once: true })
  }

  #cancel(reason: unknown): void {
    const entry = this.#current
    const isAnswered = answerOf(this.#client)
    this.#cancelRequests.start(reason, () => this.#current !== entry && isAnswered())
  }

  /** Tells a trip what the server has answered. */
  #settle(entry: QueueEntry, error: unknown, result?: QueryResult): void {
    const { frame, statement } = entry
    const failure = this.#observer.onCompleted(frame, statement, error, result)
    if (error !== undefined) entry.fail(error)
    else if (failure === undefined) entry.resolve(result)
    else entry.refuse(failure)
  }

  /** The trip is over, as soon as nothing is on its way to the server that would hit the next one. */
  #complete(entry: QueueEntry, error: unknown, result?: QueryResult): void {
    // a stream can end twice: when it is left, and when its session ends for that
    if (this.#current !== entry) return
    const { underWay } = this.#cancelRequests
    if (underWay !== undefined) {
      void underWay.then(() => this.#complete(entry, error, result))
      return
    }
    this.#settle(entry, error, result)
    this.#current = undefined
    if (!isReadTimeout(error)) this.#cancelRequests.stop()
    this.#landedAt = performance.now()
    this.#leaveSoon()
    this.#tellQuiet()
  }

  /**
   * Lets go what stands in front. What may leave together with others waits for the end of the tick:
   * whatever the program issues together has come by then, through whichever layer.
   */
  #leaveSoon(): void {
    if (this.#current !== undefined || this.#isLeaving) return
    if (!this.#joins || !this.queue.mayPipeline) return this.#leave()
    this.#isLeaving = true
    process.nextTick(this.#leaveNow)
  }

  readonly #leaveNow = (): void => {
    this.#isLeaving = false
    this.#leave()
  }

  #leave(): void {
    if (this.#current !== undefined) return
    const next = this.queue.shift()
    if (next === undefined) return
    const { deferred, entry } = next
    const others = this.#canPipeline(entry) ? this.queue.shiftWhile(this.#canPipeline) : NONE
    this.#current = entry
    const complete: Done = (error, result) => {
      // a transaction must not wait for what it will not keep
      const isHere = this.#current === entry && entry.frame !== undefined
      if (isHere && isReadTimeout(error)) this.#cancel(error)
      this.#complete(entry, error, result)
    }
    entry.run(() => {
      if (entry.speak === undefined) this.sender.send(entry, deferred, others, complete)
      else
        entry.speak(deferred).then((result) => complete(undefined, result as QueryResult), complete)
    })
    if (!entry.statement?.isSubmittable) return
    watchStream(this.#turnTimeout, this.queue, entry, () => {
      if (this.#current !== entry) return undefined
      return this.stream === undefined ? performance.now() : this.idleSince
    })
  }

  /** Whether a trip can be one of several, before one Sync: in a transaction one failure dooms the rest anyway. */
  readonly #canPipeline = ({ frame, statement }: QueueEntry): boolean =>
    this.#joins && frame !== undefined && !this.#timesOut && !!statement?.isPipelinable

  #tellQuiet(): void {
    if (this.isQuiet) this.#quiet.tell()
  }
}

const NONE: readonly QueueEntry[] = []

function promised(start: (done: Done) => void): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error === undefined) resolve(result as QueryResult)
      else reject(error)
    })
  })
}
