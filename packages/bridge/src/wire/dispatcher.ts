import { setImmediate } from 'node:timers'
import { notSent } from '../errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { Cancelling } from './cancelling.ts'
import type { Carrier } from '../protocol/observed-query.ts'
import type { Flight } from '../protocol/pipeline-query.ts'
import { answerOf } from './idle.ts'
import { acknowledged, isReadTimeout, type PgClient, type QueryResult } from '../protocol/pg.ts'
import type { Gathering } from './batch-collector.ts'
import { Queue, type Rider } from './send-queue.ts'
import { Quiet } from './quiet.ts'
import { type Done, type OnRide, Sender } from './query-sender.ts'
import type { Settings } from '../settings.ts'
import type { Statement } from './statement.ts'
import { watchStream } from './stream-timeout.ts'
import { type Speak, Trip } from './queue-entry.ts'

/** Who is told what happened on the wire. */
export interface WireObserver {
  /** Control statements leave together with a statement, or with nothing. */
  onRide: OnRide
  /** The session is to end now. */
  end(reason: Error): void
  /** What is under way is not wanted any more. Resolves when that can hit nothing which is sent later. */
  onCancel(reason: unknown): Promise<void>
  /** A trip has ended. Gives back its error, or one where the server is not where it should be. */
  onLanded(
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
export class Wire {
  readonly #client: PgClient
  readonly sender: Sender
  readonly #observer: WireObserver
  /** What waits: control statements are held back in it. */
  readonly queue = new Queue()
  #current: Trip | undefined
  readonly #cancelling: Cancelling
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
    observer: WireObserver,
    { lazy, turnTimeout }: Pick<Settings, 'lazy' | 'turnTimeout'>,
  ) {
    this.#joins = lazy
    this.#turnTimeout = turnTimeout
    this.#cancelling = new Cancelling((reason) => observer.onCancel(reason))
    this.#client = client
    this.sender = new Sender(
      client,
      send,
      (riders) => observer.onRide(riders),
      (trip, error, result) => this.#settle(trip, error, result),
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
  get stream(): Carrier | undefined {
    return this.sender.stream
  }

  /** Sends a statement behind all that is queued. `onSend` is called when it leaves. */
  send(statement: Statement, frame: Frame | undefined, onSend?: () => void): Promise<QueryResult> {
    this.#hasTimeouts ||= statement.hasTimeout
    return this.#enqueue(new Trip(frame, statement, onSend))
  }

  /** Lets `fn` send statements, one after the other, while nothing else is sent. */
  converse(
    statement: Statement,
    fn: (send: (statement: Statement) => Promise<QueryResult>) => Promise<QueryResult>,
  ): Promise<QueryResult> {
    this.#hasTimeouts ||= statement.hasTimeout
    return this.#enqueue(
      new Trip(undefined, statement, undefined, async (riders) => {
        await this.#flyAlone(riders)
        return fn((sent) => promised((done) => this.sender.query(sent, done)))
      }),
    )
  }

  /** Lets nothing leave while the statements of a batch come. */
  gather(frame: Frame): Gathering {
    return this.queue.gather(frame, this.#goesAlong, () => this.#leaveSoon())
  }

  /** Has the server give up what is under way, if that belongs to the frame. */
  cancel(frame: Frame, reason: unknown): void {
    const { frame: current, statement } = this.#current ?? {}
    if (current?.isInside(frame) && !statement?.undoes) this.#cancel(reason)
  }

  /** Sends a query of the bridge's own, which can be sent more than once. */
  carry(flight: Flight, frame: Frame, onSend?: () => void): Promise<QueryResult> {
    const launch: Speak = (riders) =>
      promised((done) => this.sender.launch(flight, riders, done, onSend))
    return this.#enqueue(new Trip(frame, undefined, onSend, launch))
  }

  /** Sends what is held back, then lets `fn` speak to the client while nothing else does. */
  hold<T>(frame: Frame | undefined, fn: () => Promise<T>): Promise<T> {
    const speak: Speak = async (riders) => {
      await this.#flyAlone(riders)
      return fn()
    }
    const trip = new Trip(frame, undefined, undefined, speak)
    trip.isByHand = true
    return this.#enqueue(trip)
  }

  async #flyAlone(riders: readonly Rider[]): Promise<void> {
    if (riders.length > 0) await promised((done) => this.sender.fly(riders, undefined, done))
  }

  /**
   * Takes all of a frame that is over out of the queue. What would take it back has nothing left to
   * do. Of a `failure` to open it who waits for all hears first.
   */
  drop(frame: Frame, failure?: unknown): void {
    frame.failure ??= failure
    for (const trip of this.queue.drop(frame)) {
      const refuse = (): void => trip.refuse(notSent(trip.frame ?? frame))
      if (trip.statement?.undoes) this.#settle(trip, undefined, acknowledged(''))
      else if (failure === undefined) refuse()
      else setImmediate(refuse)
    }
    this.#tellQuiet()
  }

  /** Refuses everything that waits: the connection is gone. */
  dropAll(error: unknown): void {
    for (const trip of this.queue.dropAll()) trip.refuse(error)
    this.#tellQuiet()
  }

  /** Whether anything of the frame is under way, or waits. */
  concerns(frame: Frame): boolean {
    return this.#current?.frame?.isInside(frame) === true || this.queue.hasTripsOf(frame)
  }

  /** Resolves once no statement is queued or under way; `undefined` where that is so now. */
  quiet(): Promise<void> | undefined {
    return this.isQuiet ? undefined : this.#quiet.wait()
  }

  /** Whether no statement is queued or under way. */
  get isQuiet(): boolean {
    return this.#current === undefined && !this.queue.hasTrips
  }

  #enqueue<T>(trip: Trip): Promise<T> {
    const signal = trip.statement?.signal
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.sender.carrier !== undefined) trip.waits()
    // it will leave in a callback of pg, or of another's tick
    if (this.#current !== undefined || this.queue.hasTrips) trip.keepContext()
    this.queue.push(trip)
    if (signal !== undefined) this.#watch(trip, signal)
    this.#leaveSoon()
    return trip.answer as Promise<T>
  }

  /** Takes a trip out of the queue when it is not wanted any more, or ends it under way. */
  #watch(trip: Trip, signal: AbortSignal): void {
    const onAbort = (): void => {
      if (this.#current === trip) return this.#cancel(signal.reason)
      if (!this.queue.remove(trip)) return
      trip.refuse(signal.reason)
      this.#tellQuiet()
    }
    signal.addEventListener('abort', onAbort, { once: true })
  }

  #cancel(reason: unknown): void {
    const trip = this.#current
    const isAnswered = answerOf(this.#client)
    this.#cancelling.start(reason, () => this.#current !== trip && isAnswered())
  }

  /** Tells a trip what the server has answered. */
  #settle(trip: Trip, error: unknown, result?: QueryResult): void {
    const { frame, statement } = trip
    const failure = this.#observer.onLanded(frame, statement, error, result)
    if (error !== undefined) trip.fail(error)
    else if (failure === undefined) trip.resolve(result)
    else trip.refuse(failure)
  }

  /** The trip is over, as soon as nothing is on its way to the server that would hit the next one. */
  #land(trip: Trip, error: unknown, result?: QueryResult): void {
    // a stream can end twice: when it is left, and when its session ends for that
    if (this.#current !== trip) return
    const { underWay } = this.#cancelling
    if (underWay !== undefined) {
      void underWay.then(() => this.#land(trip, error, result))
      return
    }
    this.#settle(trip, error, result)
    this.#current = undefined
    if (!isReadTimeout(error)) this.#cancelling.stop()
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
    if (!this.#joins || !this.queue.mayGather) return this.#leave()
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
    const { riders, trip } = next
    const others = this.#goesAlong(trip) ? this.queue.shiftWhile(this.#goesAlong) : NONE
    this.#current = trip
    const land: Done = (error, result) => {
      // a transaction must not wait for what it will not keep
      const isHere = this.#current === trip && trip.frame !== undefined
      if (isHere && isReadTimeout(error)) this.#cancel(error)
      this.#land(trip, error, result)
    }
    trip.run(() => {
      if (trip.speak === undefined) this.sender.send(trip, riders, others, land)
      else trip.speak(riders).then((result) => land(undefined, result as QueryResult), land)
    })
    if (!trip.statement?.isSubmittable) return
    watchStream(this.#turnTimeout, this.queue, trip, () => {
      if (this.#current !== trip) return undefined
      return this.stream === undefined ? performance.now() : this.idleSince
    })
  }

  /** Whether a trip can be one of several, before one Sync: in a transaction one failure dooms the rest anyway. */
  readonly #goesAlong = ({ frame, statement }: Trip): boolean =>
    this.#joins && frame !== undefined && !this.#timesOut && !!statement?.isJoinable

  #tellQuiet(): void {
    if (this.isQuiet) this.#quiet.tell()
  }
}

const NONE: readonly Trip[] = []

function promised(start: (done: Done) => void): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error === undefined) resolve(result as QueryResult)
      else reject(error)
    })
  })
}
