import type { Frame } from '../transaction/frame.ts'
import { originHere } from '../transaction/origin.ts'
import { Cancelling } from './cancelling.ts'
import { Carrier } from './carrier.ts'
import type { Flight } from './flight.ts'
import { acknowledged, isReadTimeout, type PgClient, type QueryResult } from './pg.ts'
import type { Gathering } from './gathering.ts'
import { Queue, type Trip } from './queue.ts'
import { Quiet } from './quiet.ts'
import { type OnRide, Sender } from './sender.ts'
import type { Settings } from './settings.ts'
import type { Statement } from './statement.ts'
import { watchStream } from './stream-clock.ts'

/** Who is told what happened on the wire. */
export interface WireObserver {
  /** Control statements leave together with a statement, or with nothing. */
  onRide: OnRide
  /** A statement has succeeded. */
  onAnswer(statement: Statement, result: QueryResult): void
  /** The session is to end now. */
  end(reason: Error): void
  /** What is under way is not wanted any more. Resolves when that can hit nothing which is sent later. */
  onCancel(reason: unknown): Promise<void>
  /** A trip has ended. Gives back an error where the server is not where it should be. */
  onLanded(frame: Frame | undefined, error?: unknown, statement?: Statement): unknown
}

type Errand = Pick<Trip, 'frame' | 'run'> & Partial<Pick<Trip, 'statement' | 'onSend'>>

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
    return this.#enqueue({
      frame,
      statement,
      onSend,
      run: async (riders, others) => {
        // of what moves the transaction the tag counts, also where the connection breaks behind it
        const flies = riders.length + others.length > 0 || statement.command !== undefined
        if (flies && statement.isRideable) return this.sender.fly(riders, statement, onSend, others)
        if (Carrier.isLeft(statement.config)) {
          // nobody will read it: it is not sent
          this.queue.putBack(riders)
          return acknowledged('')
        }
        if (riders.length > 0) await this.sender.fly(riders)
        onSend?.()
        return this.sender.query(statement, frame !== undefined)
      },
    }) as Promise<QueryResult>
  }

  /** Lets `fn` send statements, one after the other, while nothing else is sent. */
  converse(
    statement: Statement,
    fn: (send: (statement: Statement) => Promise<QueryResult>) => Promise<QueryResult>,
  ): Promise<QueryResult> {
    this.#hasTimeouts ||= statement.hasTimeout
    return this.#enqueue({
      frame: undefined,
      statement,
      run: async (riders) => {
        if (riders.length > 0) await this.sender.fly(riders)
        return fn((sent) => this.sender.query(sent, false))
      },
    }) as Promise<QueryResult>
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
    return this.#enqueue({
      frame,
      run: (riders) => this.sender.launch(flight, riders, onSend),
    }) as Promise<QueryResult>
  }

  /** Sends what is held back, then lets `fn` speak to the client while nothing else does. */
  hold<T>(frame: Frame | undefined, fn: () => Promise<T>): Promise<T> {
    return this.#enqueue({
      frame,
      run: async (riders) => {
        if (riders.length > 0) await this.sender.fly(riders)
        return fn()
      },
    }) as Promise<T>
  }

  /** Takes all of a frame that is over out of the queue. What would take it back has nothing left to do. */
  drop(frame: Frame, refusal: (frame: Frame) => unknown): void {
    for (const trip of this.queue.drop(frame)) {
      if (trip.statement?.undoes) trip.settle(undefined, acknowledged(''))
      else trip.refuse(refusal(trip.frame ?? frame))
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
    return this.#isQuiet ? undefined : this.#quiet.wait()
  }

  get #isQuiet(): boolean {
    return this.#current === undefined && !this.queue.hasTrips
  }

  #enqueue({ frame, statement, onSend, run }: Errand): Promise<unknown> {
    const signal = statement?.signal
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const trip: Trip = {
        asked: this.sender.carrier && originHere(),
        since: performance.now(),
        frame,
        statement,
        onSend,
        refuse: reject,
        settle: (error, result) => {
          if (error !== undefined) {
            const said = isReadTimeout(error) ? undefined : statement?.flight?.failure
            this.#observer.onLanded(frame, said ?? error, statement)
            return reject(error)
          }
          if (statement !== undefined && result !== undefined) {
            this.#observer.onAnswer(statement, result)
          }
          const drift = this.#observer.onLanded(frame)
          if (drift === undefined) resolve(result)
          else reject(drift)
        },
        run: (riders, others) =>
          run(riders, others).then(
            (result) => this.#land(trip, undefined, result as QueryResult),
            (error: unknown) => {
              // a transaction must not wait for what it will not keep
              if (frame !== undefined && isReadTimeout(error)) this.#cancel(error)
              this.#land(trip, error)
            },
          ),
      }
      this.queue.push(trip)
      if (signal !== undefined) this.#watch(trip, signal)
      this.#leaveSoon()
    })
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
    this.#cancelling.start(reason, () => this.#current !== trip)
  }

  /** The trip is over, as soon as nothing is on its way to the server that would hit the next one. */
  #land(trip: Trip, error: unknown, result?: QueryResult): void {
    const { underWay } = this.#cancelling
    if (underWay !== undefined) {
      void underWay.then(() => this.#land(trip, error, result))
      return
    }
    trip.settle(error, result)
    this.#current = undefined
    this.#cancelling.stop()
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
    const { first } = this.queue
    if (!this.#joins || first?.frame === undefined) return this.#leave()
    this.#isLeaving = true
    process.nextTick(() => {
      this.#isLeaving = false
      this.#leave()
    })
  }

  #leave(): void {
    if (this.#current !== undefined) return
    const next = this.queue.shift()
    if (next === undefined) return
    const { riders, trip } = next
    const others = this.#goesAlong(trip) ? this.queue.shiftWhile(this.#goesAlong) : []
    this.#current = trip
    void trip.run(riders, others)
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
    if (this.#isQuiet) this.#quiet.tell()
  }
}
