import type { Readable } from 'node:stream'
import { Carrier, leftStream } from './carrier.ts'
import { type Flight, flightClass, loneClass, partClass } from './flight.ts'
import {
  acknowledged,
  type PgClient,
  type PgQuery,
  type QueryClass,
  type QueryResult,
  type Submittable,
} from './pg.ts'
import type { Rider, Trip } from './queue.ts'
import type { Statement } from './statement.ts'

/** Told when control statements leave. Gives back who is told of the landing. */
export type OnRide = (riders: readonly Rider[]) => (landed: number, error?: unknown) => void

/** Speaks to the client: one call is one trip. */
export class Sender {
  readonly #client: PgClient
  readonly #send: PgClient['query']
  readonly #onRide: OnRide
  readonly #putBack: (items: readonly (Rider | Trip)[]) => void
  readonly #end: (reason: Error) => void
  /** What keeps the connection to itself until it is done. */
  carrier: Carrier | undefined

  /** `putBack` takes what was refused before anything of it was sent; `end` ends the session. */
  constructor(
    client: PgClient,
    send: PgClient['query'],
    onRide: OnRide,
    putBack: (items: readonly (Rider | Trip)[]) => void,
    end: (reason: Error) => void,
  ) {
    this.#end = end
    this.#client = client
    this.#send = send
    this.#onRide = onRide
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

  /** Sends a statement as it is, alone. */
  query(statement: Statement, isInFrame: boolean): Promise<QueryResult> {
    if (statement.isSubmittable) return this.#carry(statement)
    if (isInFrame) return this.#sendLone(statement)
    return this.#send.call(this.#client, statement.config, statement.values) as Promise<QueryResult>
  }

  /** In a transaction it is the server's error that counts, whatever a type parser has thrown before. */
  async #sendLone(statement: Statement): Promise<QueryResult> {
    const Lone = loneClass(this.queryClass)
    const query = new Lone(statement.config, statement.values)
    statement.flight = query
    try {
      return await new Promise((resolve, reject) => {
        query.callback = (error, result) => {
          if (error) reject(error)
          else resolve(result as QueryResult)
        }
        this.#send.call(this.#client, query)
      })
    } catch (error) {
      throw recaptured(error)
    }
  }

  #carry(statement: Statement): Promise<QueryResult> {
    const { config, origin } = statement
    return new Promise((resolve, reject) => {
      const carrier = new Carrier(config as Submittable, origin, (error) => {
        this.carrier = undefined
        if (error === undefined) resolve(acknowledged(''))
        else reject(error)
      })
      this.carrier = carrier
      const { once } = config as Partial<Readable>
      once?.call(config, 'close', () => {
        if (this.carrier !== carrier || !Carrier.isLeft(config)) return
        const left = leftStream()
        this.#end(left)
        reject(left)
      })
      statement.isDelivered = true
      this.#send.call(this.#client, carrier)
    })
  }

  /** Sends a statement, or nothing, with what rides in front of it and what goes along behind it. */
  fly(
    riders: readonly Rider[],
    statement?: Statement,
    onSend?: () => void,
    others: readonly Trip[] = [],
  ): Promise<QueryResult> {
    const Flight = flightClass(this.queryClass)
    // an empty text is a statement too: the server answers it with nothing
    const flight = new Flight(statement?.config ?? '', statement?.values)
    if (statement !== undefined) statement.flight = flight
    flight.others = others.map((trip) => this.#partOf(trip))
    return this.launch(flight, riders, onSend, others)
  }

  /** The query of a trip that goes along with another. */
  #partOf({ statement, settle }: Trip): PgQuery {
    const { binary, _types } = this.#client
    const Part = partClass(this.queryClass)
    const part = new Part(statement?.config, statement?.values)
    // as `Client.query` does for what it is given
    if (binary) part.binary ||= true
    part._result._types ??= _types
    part.callback = (error, result) => settle(error ? recaptured(error) : undefined, result)
    if (statement !== undefined) statement.flight = part
    return part
  }

  /** Sends a query of the bridge's own, with the same. */
  async launch(
    flight: Flight,
    riders: readonly Rider[],
    onSend?: () => void,
    others: readonly Trip[] = [],
  ): Promise<QueryResult> {
    let landing: ReturnType<OnRide> | undefined
    flight.onWrite = () => {
      landing = this.#onRide(riders)
      onSend?.()
      // but for those that could not be written
      for (const { onSend: onOtherSend, statement } of others) {
        if (flight.others.some((part) => part === statement?.flight)) onOtherSend?.()
      }
    }
    flight.riders = riders.map((rider) => rider.sql)
    flight.isWhole = others.some(({ statement }) => statement?.endsBatch)
    try {
      return await new Promise((resolve, reject) => {
        flight.callback = (error, result) => {
          // refused before anything was written: all that was with it waits for the next statement
          if (!flight.written) this.#putBack(flight.isWhole ? riders : [...riders, ...others])
          else landing?.(flight.landed, error ?? undefined)
          if (error) reject(error)
          else resolve(result as QueryResult)
        }
        this.#send.call(this.#client, flight)
      })
    } catch (error) {
      throw recaptured(error)
    }
  }
}

/** As pg does: gives an error a trace that leads to the caller instead of the socket. */
function recaptured<E>(error: E): E {
  if (error instanceof Error) Error.captureStackTrace(error)
  return error
}
