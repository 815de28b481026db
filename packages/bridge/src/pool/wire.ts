import type { Frame } from '../transaction/frame.ts'
import { Carrier } from './carrier.ts'
import { type Flight, flightClass } from './flight.ts'
import {
  acknowledged,
  type PgClient,
  type QueryClass,
  type QueryResult,
  type Submittable,
} from './pg.ts'
import type { Statement } from './statement.ts'

/** A control statement that waits for the next real statement, to ride in front of it. */
export interface Rider {
  /** `set` narrows the savepoint that was opened in front of it. */
  readonly op: 'begin' | 'savepoint' | 'set' | 'release'
  readonly sql: string
  readonly frame: Frame
}

/** What goes over the wire in one trip: a statement, or somebody who speaks to the client directly. */
interface Trip {
  readonly frame: Frame | undefined
  readonly run: (riders: readonly Rider[]) => Promise<unknown>
  readonly refuse: (error: unknown) => void
}

/** Who is told what happened on the wire. */
export interface WireObserver {
  /** Control statements leave together with a statement, or with nothing. Gives back who is told of the landing. */
  onRide(riders: readonly Rider[]): (landed: number, error?: unknown) => void
  /** A trip has ended. Gives back an error where the server is not where it should be. */
  onLanded(frame: Frame | undefined, error?: unknown): unknown
}

/**
 * The queue of one physical connection: statements leave in the order in which they came, one trip
 * at a time, and control statements are held back to ride with the statement behind them.
 */
export class Wire {
  readonly #client: PgClient
  readonly #send: PgClient['query']
  readonly #observer: WireObserver
  readonly #queue: (Rider | Trip)[] = []
  #current: Trip | undefined
  /** When the last trip ended, as `performance.now()` tells it. */
  idleSince = 0
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

  /** Whether a trip is under way. */
  get isBusy(): boolean {
    return this.#current !== undefined
  }

  /** Sends a statement behind all that is queued. `onSend` is called when it leaves. */
  send(statement: Statement, frame: Frame | undefined, onSend?: () => void): Promise<QueryResult> {
    this.#hasTimeouts ||= statement.hasTimeout
    return this.#enqueue(frame, async (riders) => {
      if (riders.length > 0 && statement.isRideable) return this.#fly(riders, statement, onSend)
      if (riders.length > 0) await this.#fly(riders)
      onSend?.()
      return this.#query(statement)
    }) as Promise<QueryResult>
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
    return this.#opening(frame) !== -1
  }

  /** Forgets an unsent frame in which no statement waits, with all that was opened in it. */
  forget(frame: Frame): boolean {
    const at = this.#opening(frame)
    if (at === -1 || this.#queue.slice(at).some(isTrip)) return false
    this.#queue.splice(at)
    return true
  }

  /** Drops the releases that wait at the end of the queue: what comes next makes them pointless. */
  dropReleases(inside: Frame): void {
    while (this.#queue.length > 0) {
      const last = this.#queue.at(-1)
      if (last === undefined || isTrip(last) || last.op !== 'release') return
      if (!last.frame.isInside(inside)) return
      this.#queue.pop()
    }
  }

  /** Takes everything of the frame, and of those inside it, out of the queue; refuses the statements. */
  drop(frame: Frame, refusal: (frame: Frame) => unknown): void {
    const kept = this.#queue.filter(
      (item) => item.frame === undefined || !item.frame.isInside(frame),
    )
    const dropped = this.#queue.filter((item) => item.frame?.isInside(frame))
    this.#queue.splice(0, this.#queue.length, ...kept)
    for (const item of dropped) if (isTrip(item)) item.refuse(refusal(item.frame ?? frame))
    this.#tellQuiet()
  }

  /** Refuses everything that waits: the connection is gone. */
  dropAll(error: unknown): void {
    for (const item of this.#queue.splice(0)) if (isTrip(item)) item.refuse(error)
    this.#tellQuiet()
  }

  /** Resolves once no statement is queued or under way; `undefined` where that is so now. */
  quiet(): Promise<void> | undefined {
    if (this.#isQuiet) return undefined
    return new Promise((resolve) => this.#quiet.push(resolve))
  }

  get #isQuiet(): boolean {
    return this.#current === undefined && !this.#queue.some(isTrip)
  }

  #opening(frame: Frame): number {
    return this.#queue.findIndex((item) => item.frame === frame && !isTrip(item) && OPENS[item.op])
  }

  #enqueue(
    frame: Frame | undefined,
    run: (riders: readonly Rider[]) => Promise<unknown>,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#queue.push({
        frame,
        refuse: reject,
        run: (riders) =>
          run(riders).then(
            (result) => {
              const drift = this.#observer.onLanded(frame)
              if (drift === undefined) resolve(result)
              else reject(drift)
              this.#next()
            },
            (error: unknown) => {
              this.#observer.onLanded(frame, error)
              reject(error)
              this.#next()
            },
          ),
      })
      this.#leave()
    })
  }

  #leave(): void {
    if (this.#current !== undefined) return
    const at = this.#queue.findIndex(isTrip)
    if (at === -1) return
    const riders = this.#queue.splice(0, at) as Rider[]
    this.#current = this.#queue.shift() as Trip
    void this.#current.run(riders)
  }

  #next(): void {
    this.#current = undefined
    this.idleSince = performance.now()
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
        const carrier = new Carrier(statement.config as Submittable, (error) => {
          if (error === undefined) resolve(acknowledged(''))
          else reject(error)
        })
        statement.isDelivered = true
        this.#send.call(this.#client, carrier)
      })
    }
    return this.#send.call(this.#client, statement.config, statement.values) as Promise<QueryResult>
  }

  #fly(riders: readonly Rider[], statement?: Statement, onSend?: () => void): Promise<QueryResult> {
    const Flight = flightClass(this.queryClass)
    // an empty text is a statement too: the server answers it with nothing
    const flight = new Flight(statement?.config ?? '', statement?.values)
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
          if (!flight.written) this.#queue.unshift(...riders)
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

const OPENS: { readonly [O in Rider['op']]: boolean } = {
  begin: true,
  savepoint: true,
  set: false,
  release: false,
}

function isTrip(item: Rider | Trip): item is Trip {
  return 'run' in item
}
