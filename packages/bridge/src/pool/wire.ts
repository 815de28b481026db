import type { Frame } from '../transaction/frame.ts'
import { Carrier } from './carrier.ts'
import { type Flight, flightClass } from './flight.ts'
import {
  acknowledged,
  isReadTimeout,
  type PgClient,
  type QueryClass,
  type QueryResult,
  type Submittable,
} from './pg.ts'
import { Queue, type Rider, type Trip } from './queue.ts'
import type { Statement } from './statement.ts'

/** Who is told what happened on the wire. */
export interface WireObserver {
  /** Control statements leave together with a statement, or with nothing. Gives back who is told of the landing. */
  onRide(riders: readonly Rider[]): (landed: number, error?: unknown) => void
  /** A statement has succeeded. */
  onAnswer(statement: Statement, result: QueryResult): void
  /** What is under way is not wanted any more. Resolves when that can hit nothing which is sent later. */
  onCancel(reason: unknown): Promise<void>
  /** A trip has ended. Gives back an error where the server is not where it should be. */
  onLanded(frame: Frame | undefined, error?: unknown): unknown
}

/** How many milliseconds a statement that was cancelled may go on before it is cancelled once more. */
const CANCEL_AGAIN = 500

/**
 * The queue of one physical connection: statements leave in the order in which they came, one trip
 * at a time, and control statements are held back to ride with the statement behind them.
 */
export class Wire {
  readonly #client: PgClient
  readonly #send: PgClient['query']
  readonly #observer: WireObserver
  readonly #queue = new Queue()
  #current: Trip | undefined
  /** While the server is asked to give up what is under way. */
  #cancelling: Promise<void> | undefined
  #landedAt = 0
  #carrier: Carrier | undefined
  #quiet: (() => void)[] = []
  #hasTimeouts = false

  constructor(client: PgClient, send: PgClient['query'], observer: WireObserver) {
    this.#client = client
    this.#send = send
    this.#observer = observer
  }

  /** Whether `pg` may give a statement up while it still runs. */
  get hasTimeouts(): boolean {
    return this.#hasTimeouts || Boolean(this.#client.connectionParameters?.query_timeout)
  }

  /** When something last happened here, as `performance.now()` tells it. */
  get idleSince(): number {
    if (this.stream !== undefined) return this.stream.suspendedAt
    return this.isBusy ? performance.now() : this.#landedAt
  }

  /** What keeps the connection to itself between two of its pages. */
  get stream(): Carrier | undefined {
    return this.#carrier?.isSuspended ? this.#carrier : undefined
  }

  /** Whether a trip is under way. */
  get isBusy(): boolean {
    return this.#current !== undefined
  }

  /** Sends a statement behind all that is queued. `onSend` is called when it leaves. */
  send(statement: Statement, frame: Frame | undefined, onSend?: () => void): Promise<QueryResult> {
    this.#hasTimeouts ||= statement.hasTimeout
    return this.#enqueue(
      frame,
      async (riders) => {
        // of what moves the transaction the tag counts, also where the connection breaks behind it
        const flies = riders.length > 0 || statement.command !== undefined
        if (flies && statement.isRideable) return this.#fly(riders, statement, onSend)
        if (riders.length > 0) await this.#fly(riders)
        onSend?.()
        return this.#query(statement)
      },
      statement,
    ) as Promise<QueryResult>
  }

  /** Has the server give up what is under way, if that belongs to the frame. */
  cancel(frame: Frame, reason: unknown): void {
    if (this.#current?.frame?.isInside(frame)) this.#cancel(reason)
  }

  /** Sends a query of the bridge's own, which can be sent more than once. */
  carry(flight: Flight, frame: Frame, onSend?: () => void): Promise<QueryResult> {
    return this.#enqueue(frame, (riders) =>
      this.#launch(flight, riders, onSend),
    ) as Promise<QueryResult>
  }

  /** The client's own class of queries. */
  get queryClass(): QueryClass {
    return (this.#client.constructor as unknown as { Query: QueryClass }).Query
  }

  /** Sends what is held back, then lets `fn` speak to the client while nothing else does. */
  hold<T>(frame: Frame | undefined, fn: () => Promise<T>): Promise<T> {
    return this.#enqueue(frame, async (riders) => {
      if (riders.length > 0) await this.#fly(riders)
      return fn()
    }) as Promise<T>
  }

  /** Holds a control statement back until the next trip. */
  ride(rider: Rider): void {
    this.#queue.push(rider)
  }

  /** Whether the server has not heard of the frame yet. */
  isUnsent(frame: Frame): boolean {
    return this.#queue.holdsOpening(frame)
  }

  /** Forgets an unsent frame in which no statement waits, with all that was opened in it. */
  forget(frame: Frame): boolean {
    return this.#queue.forget(frame)
  }

  /** Drops the releases that wait: what comes next makes them pointless. */
  dropReleases(inside: Frame): void {
    this.#queue.dropReleases(inside)
  }

  /** Takes everything of the frame, and of those inside it, out of the queue; refuses the statements. */
  drop(frame: Frame, refusal: (frame: Frame) => unknown): void {
    for (const trip of this.#queue.drop(frame)) trip.refuse(refusal(trip.frame ?? frame))
    this.#tellQuiet()
  }

  /** Refuses everything that waits: the connection is gone. */
  dropAll(error: unknown): void {
    for (const trip of this.#queue.dropAll()) trip.refuse(error)
    this.#tellQuiet()
  }

  /** Resolves once no statement is queued or under way; `undefined` where that is so now. */
  quiet(): Promise<void> | undefined {
    if (this.#isQuiet) return undefined
    return new Promise((resolve) => this.#quiet.push(resolve))
  }

  get #isQuiet(): boolean {
    return this.#current === undefined && !this.#queue.hasTrips
  }

  #enqueue(
    frame: Frame | undefined,
    run: (riders: readonly Rider[]) => Promise<unknown>,
    statement?: Statement,
  ): Promise<unknown> {
    const signal = statement?.signal
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const trip: Trip = {
        frame,
        refuse: reject,
        run: (riders) =>
          run(riders).then(
            (result) =>
              this.#land(() => {
                if (statement !== undefined)
                  this.#observer.onAnswer(statement, result as QueryResult)
                const drift = this.#observer.onLanded(frame)
                if (drift === undefined) resolve(result)
                else reject(drift)
              }),
            (error: unknown) => {
              // a transaction must not wait for what it will not keep
              if (frame !== undefined && isReadTimeout(error)) this.#cancel(error)
              this.#land(() => {
                this.#observer.onLanded(frame, error)
                reject(error)
              })
            },
          ),
      }
      this.#queue.push(trip)
      if (signal !== undefined) this.#watch(trip, signal)
      this.#leave()
    })
  }

  /** Takes a trip out of the queue when it is not wanted any more, or ends it under way. */
  #watch(trip: Trip, signal: AbortSignal): void {
    const onAbort = (): void => {
      if (this.#current === trip) return this.#cancel(signal.reason)
      if (!this.#queue.remove(trip)) return
      trip.refuse(signal.reason)
      this.#tellQuiet()
    }
    signal.addEventListener('abort', onAbort, { once: true })
  }

  #cancel(reason: unknown): void {
    const trip = this.#current
    this.#cancelling ??= this.#observer.onCancel(reason).finally(() => {
      this.#cancelling = undefined
      // a request that reached the server before the statement did has hit nothing
      setTimeout(() => {
        if (this.#current === trip) this.#cancel(reason)
      }, CANCEL_AGAIN)
    })
  }

  /** The trip is over, as soon as nothing is on its way to the server that would hit the next one. */
  #land(settle: () => void): void {
    if (this.#cancelling !== undefined) {
      void this.#cancelling.then(() => this.#land(settle))
      return
    }
    settle()
    this.#next()
  }

  #leave(): void {
    if (this.#current !== undefined) return
    const next = this.#queue.shift()
    if (next === undefined) return
    this.#current = next.trip
    void next.trip.run(next.riders)
  }

  #next(): void {
    this.#current = undefined
    this.#landedAt = performance.now()
    this.#carrier = undefined
    this.#leave()
    this.#tellQuiet()
  }

  #tellQuiet(): void {
    if (this.#quiet.length === 0 || !this.#isQuiet) return
    for (const resolve of this.#quiet.splice(0)) resolve()
  }

  #query(statement: Statement): Promise<QueryResult> {
    if (statement.isSubmittable) {
      return new Promise((resolve, reject) => {
        const { config, origin } = statement
        this.#carrier = new Carrier(config as Submittable, origin, (error) => {
          if (error === undefined) resolve(acknowledged(''))
          else reject(error)
        })
        statement.isDelivered = true
        this.#send.call(this.#client, this.#carrier)
      })
    }
    return this.#send.call(this.#client, statement.config, statement.values) as Promise<QueryResult>
  }

  #fly(riders: readonly Rider[], statement?: Statement, onSend?: () => void): Promise<QueryResult> {
    const Flight = flightClass(this.queryClass)
    // an empty text is a statement too: the server answers it with nothing
    const flight = new Flight(statement?.config ?? '', statement?.values)
    if (statement !== undefined) statement.flight = flight
    return this.#launch(flight, riders, onSend)
  }

  async #launch(
    flight: Flight,
    riders: readonly Rider[],
    onSend?: () => void,
  ): Promise<QueryResult> {
    let landing: ReturnType<WireObserver['onRide']> | undefined
    flight.onWrite = () => {
      landing = this.#observer.onRide(riders)
      onSend?.()
    }
    flight.riders = riders.map((rider) => rider.sql)
    try {
      return await new Promise((resolve, reject) => {
        flight.callback = (error, result) => {
          // refused before anything was written: the riders wait for the next statement
          if (!flight.written) this.#queue.putBack(riders)
          else landing?.(flight.landed, error ?? undefined)
          if (error) reject(error)
          else resolve(result as QueryResult)
        }
        this.#send.call(this.#client, flight)
      })
    } catch (error) {
      // as pg does: a trace that leads to the caller instead of the socket
      if (error instanceof Error) Error.captureStackTrace(error)
      throw error
    }
  }
}
