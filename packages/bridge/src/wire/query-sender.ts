import type { Readable } from 'node:stream'
import { Carrier, leftStream } from '../protocol/observed-query.ts'
import { type Flight, flightClass } from '../protocol/pipeline-query.ts'
import { loneClass, partClass } from '../protocol/single-query.ts'
import {
  acknowledged,
  type PgClient,
  type PgQuery,
  type QueryClass,
  type QueryResult,
  type Submittable,
} from '../protocol/pg.ts'
import { QueueGuard } from '../protocol/copy-guard.ts'
import type { Rider } from './send-queue.ts'
import type { Statement } from './statement.ts'
import type { Trip } from './queue-entry.ts'

/** Told when control statements leave. Gives back who is told of the landing. */
export type OnRide = (riders: readonly Rider[]) => (landed: number, error?: unknown) => void

/** Told how something went on the wire. */
export type Done = (error: unknown, result?: QueryResult) => void

/** Speaks to the client: one call is one trip. */
export class Sender {
  readonly #client: PgClient
  readonly #send: PgClient['query']
  readonly #onRide: OnRide
  readonly #putBack: (items: readonly (Rider | Trip)[]) => void
  readonly #end: (reason: Error) => void
  readonly #settle: (trip: Trip, error: unknown, result?: QueryResult) => void
  readonly #guard: QueueGuard
  /** What keeps the connection to itself until it is done. */
  carrier: Carrier | undefined

  /**
   * `settle` is told of the trips that go along with others; `putBack` takes what was refused before
   * anything of it was sent; `end` ends the session.
   */
  constructor(
    client: PgClient,
    send: PgClient['query'],
    onRide: OnRide,
    settle: (trip: Trip, error: unknown, result?: QueryResult) => void,
    putBack: (items: readonly (Rider | Trip)[]) => void,
    end: (reason: Error) => void,
  ) {
    this.#end = end
    this.#client = client
    this.#guard = new QueueGuard(client)
    this.#send = send
    this.#onRide = onRide
    this.#settle = settle
    this.#putBack = putBack
  }

  /** What keeps the connection to itself between two of its pages. */
  get stream(): Carrier | undefined {
    return this.carrier?.isSuspended ? this.carrier : undefined
  }

  /** The client's own class of queries. */
  get queryClass(): QueryClass {
    return (this.#client.constructor as unknown as { Query: QueryClass }).Query
  }

  /** Sends the statement of a trip, with what rides in front of it and what goes along behind it. */
  send(trip: Trip, riders: readonly Rider[], others: readonly Trip[], done: Done): void {
    try {
      this.#dispatch(trip, riders, others, done)
    } catch (error) {
      done(error)
    }
  }

  #dispatch(trip: Trip, riders: readonly Rider[], others: readonly Trip[], done: Done): void {
    const { onSend } = trip
    const statement = trip.statement as Statement
    const alone = (): void => {
      onSend?.()
      this.query(statement, done)
    }
    const isAlone = riders.length === 0 && others.length === 0
    if (!isAlone && statement.isRideable) {
      return this.fly(riders, statement, done, onSend, others)
    }
    if (statement.isSubmittable && Carrier.isLeft(statement.config)) {
      // nobody will read it: it is not sent
      this.#putBack(riders)
      return done(undefined, acknowledged(''))
    }
    if (isAlone) return alone()
    this.fly(riders, undefined, (error) => {
      if (error === undefined) alone()
      else done(error)
    })
  }

  /** Sends a statement as it is, alone. */
  query(statement: Statement, done: Done): void {
    if (statement.isSubmittable) return this.#carry(statement, done)
    let query: PgQuery
    try {
      // the server's error counts, whatever a type parser has thrown before
      query = new (loneClass(this.queryClass))(statement.config, statement.values)
    } catch (error) {
      return done(error)
    }
    statement.flight = query
    // a name first, as where frames open: else V8 keeps it, and what it refers to, for long
    const answered: PgQuery['callback'] = (error, result) => done(error ?? undefined, result)
    query.callback = answered
    this.#submit(query, done)
  }

  #carry(statement: Statement, done: Done): void {
    const { config, origin } = statement
    const carrier = new Carrier(config as Submittable, origin, (error) => {
      if (this.carrier === carrier) this.carrier = undefined
      done(error, acknowledged(''))
    })
    this.carrier = carrier
    const { once } = config as Partial<Readable>
    once?.call(config, 'close', () => {
      if (this.carrier !== carrier || !Carrier.isLeft(config)) return
      const left = leftStream()
      this.#end(left)
      done(left)
    })
    statement.isDelivered = true
    this.#submit(carrier, done)
  }

  /** Sends a statement, or nothing, with what rides in front of it and what goes along behind it. */
  fly(
    riders: readonly Rider[],
    statement: Statement | undefined,
    done: Done,
    onSend?: () => void,
    others: readonly Trip[] = NONE,
  ): void {
    const Flight = flightClass(this.queryClass)
    // an empty text is a statement too: the server answers it with nothing
    const flight = new Flight(statement?.config ?? '', statement?.values)
    if (statement !== undefined) statement.flight = flight
    if (others.length > 0) flight.others = others.map((trip) => this.#partOf(trip))
    this.launch(flight, riders, done, onSend, others)
  }

  /** The query of a trip that goes along with another. */
  #partOf(trip: Trip): PgQuery {
    const { statement } = trip
    const { binary, _types } = this.#client
    const Part = partClass(this.queryClass)
    const part = new Part(statement?.config, statement?.values)
    // as `Client.query` does for what it is given
    if (binary) part.binary ||= true
    part._result._types ??= _types
    const answered: PgQuery['callback'] = (error, result) => {
      this.#settle(trip, error ?? undefined, result)
    }
    part.callback = answered
    if (statement !== undefined) statement.flight = part
    return part
  }

  /** Sends a query of the bridge's own, with the same. */
  launch(
    flight: Flight,
    riders: readonly Rider[],
    done: Done,
    onSend?: () => void,
    others: readonly Trip[] = NONE,
  ): void {
    let landing: ReturnType<OnRide> | undefined
    const onWrite = (): void => {
      this.#guard.stop()
      landing = this.#onRide(riders)
      onSend?.()
      // but for those that could not be written
      for (const { onSend: onOtherSend, statement } of others) {
        if (flight.others.some((part) => part === statement?.flight)) onOtherSend?.()
      }
    }
    flight.onWrite = onWrite
    flight.riders = riders.length === 0 ? NONE : riders.map((rider) => rider.sql)
    if (others.length > 0) flight.isWhole = others.some(({ statement }) => statement?.endsBatch)
    let hasLanded = false
    const land: Done = (error, result) => {
      if (hasLanded) return
      hasLanded = true
      this.#guard.stop()
      if (landing === undefined) this.#keepBack(flight, riders, others, error)
      else landing(flight.landed, error)
      done(error, result)
    }
    const answered: PgQuery['callback'] = (error, result) => land(error ?? undefined, result)
    flight.callback = answered
    this.#guard.expect(flight)
    this.#submit(flight, land)
  }

  /** Nothing of a flight was written: what was with it waits for the next statement. */
  #keepBack(
    flight: Flight,
    riders: readonly Rider[],
    others: readonly Trip[],
    error: unknown,
  ): void {
    const isLost = flight.isWhole && error !== undefined
    this.#putBack(isLost ? riders : [...riders, ...others])
    if (isLost) flight.skipOthers(error, this.#client.connection)
  }

  async #await(answer: Promise<unknown>, query: Submittable, land: Done): Promise<void> {
    try {
      const result = await answer
      if (result !== query && result !== undefined) land(undefined, result as QueryResult)
    } catch (error) {
      land(error)
    }
  }

  #submit(query: Submittable, done: Done): void {
    try {
      const answer = this.#send.call(this.#client, query)
      // of a client whose `query` somebody has wrapped, and that answers itself
      if (answer instanceof Promise) void this.#await(answer, query, done)
    } catch (error) {
      done(error)
    }
  }
}

const NONE: readonly never[] = []
