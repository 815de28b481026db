import { acquireChannel, releaseChannel } from '../instrumentation/channels.ts'
import type { Layer } from '../transaction/frame.ts'
import { type Link, runIn } from '../transaction/scope.ts'
import type { Carrier } from './carrier.ts'
import type { Connection } from './connection.ts'
import { Loan } from './loan.ts'
import type { PgClient, PgPool } from './pg.ts'

/** Where connections come from. */
export abstract class Source {
  /** How many connections are lent. */
  lent = 0
  readonly #lent = new Set<Connection>()
  /** How many there can be at once. */
  abstract readonly capacity: number

  /** Borrows one, for code that stands under `link`. */
  abstract borrow(layer: Layer, link: Link | undefined): Promise<Loan>

  /** The streams that hold connections between two of their pages. */
  get streams(): readonly Carrier[] {
    return [...this.#lent].flatMap(({ wire }) => wire.stream ?? [])
  }

  /** When something last happened on one of the connections, as `performance.now()` tells it. */
  get idleSince(): number {
    return Math.max(...[...this.#lent].map(({ wire }) => wire.idleSince))
  }

  protected lend(connection: Connection, layer: Layer, giveBack: (discard: boolean) => void): Loan {
    this.lent++
    this.#lent.add(connection)
    connection.client.on('notice', connection.onNotice)
    if (acquireChannel.hasSubscribers) acquireChannel.publish(event(connection, layer))
    return new Loan(connection, (discard) => this.#takeBack(connection, layer, discard, giveBack))
  }

  #takeBack(
    connection: Connection,
    layer: Layer,
    discard: boolean,
    giveBack: (discard: boolean) => void,
  ): void {
    const { client, isDoubtful, lost } = connection
    this.lent--
    this.#lent.delete(connection)
    const status = client.getTransactionStatus()
    const isOpen = status === 'T' || status === 'E'
    const discarded = discard || isOpen || isDoubtful || lost !== undefined
    const listeners = discarded ? client.listeners('error') : []
    giveBack(discarded)
    client.removeListener('notice', connection.onNotice)
    if (!discarded) client.removeListener('error', connection.onError)
    // What is closed may still hear of an error. That is nobody's: without a listener of ours, or
    // with the one that the pool has for idle clients, it would end the process.
    else
      for (const other of client.listeners('error')) {
        if (!listeners.includes(other)) client.removeListener('error', other)
      }
    if (releaseChannel.hasSubscribers) {
      releaseChannel.publish({ ...event(connection, layer), discarded })
    }
  }
}

type ConnectionOf = (client: PgClient) => Connection

/** A pool of `pg`, asked through the method that it had before it was adopted. */
export class PoolSource extends Source {
  readonly #pool: PgPool
  readonly #connect: PgPool['connect']
  readonly #connectionOf: ConnectionOf

  constructor(pool: PgPool, connect: PgPool['connect'], connectionOf: ConnectionOf) {
    super()
    this.#pool = pool
    this.#connect = connect
    this.#connectionOf = connectionOf
  }

  get capacity(): number {
    return this.#pool.options.max ?? Infinity
  }

  async borrow(layer: Layer, link: Link | undefined): Promise<Loan> {
    // a new client lives longer than the code that happens to ask for it: it must not keep its scope
    const acquiring = link === undefined ? this.#acquire() : runIn(undefined, () => this.#acquire())
    const connection = await acquiring
    const { client, lost } = connection
    // the pool writes a new `release` on the client each time
    const { release } = client
    const loan = this.lend(connection, layer, (discard) => release?.call(client, discard))
    if (lost === undefined) return loan
    await loan.giveBack(true)
    throw lost
  }

  /** Listens to the client in the moment it comes: its session may end with the very next message. */
  #acquire(): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let isTaken = false
      const take = (client: PgClient): void => {
        if (isTaken) return
        isTaken = true
        const connection = this.#connectionOf(client)
        client.on('error', connection.onError)
        resolve(connection)
      }
      const answer = this.#connect.call(
        this.#pool,
        (error: Error | undefined, client: PgClient) => {
          if (error) reject(error)
          else take(client)
        },
      )
      // of a pool whose `connect` somebody has wrapped, and that knows no callbacks
      answer?.then((client?: PgClient) => client && take(client), reject)
    })
  }
}

/** A single client is a pool of one: whole transactions take turns on it. */
export class ClientSource extends Source {
  readonly #connection: Connection
  readonly capacity = 1
  readonly #query: PgClient['query']
  #last: Promise<unknown> = Promise.resolve()

  constructor(connection: Connection, query: PgClient['query']) {
    super()
    this.#connection = connection
    this.#query = query
  }

  async borrow(layer: Layer): Promise<Loan> {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.#last = promise
    await before
    const { client, onError } = this.#connection
    // a client that is gone keeps its listener, since nobody else hears of what it may still say
    if (!client.listeners('error').includes(onError)) client.on('error', onError)
    return this.lend(this.#connection, layer, (discard) => {
      // it can not be exchanged for another, so what is open on it is rolled back
      const { lost } = this.#connection
      const isOpen = discard && lost === undefined
      const closed = isOpen ? (this.#query.call(client, 'rollback') as Promise<unknown>) : undefined
      // if that fails, so will the next statement, and its sender is told
      resolve(closed?.catch(() => undefined))
    })
  }
}

function event(connection: Connection, layer: Layer): object {
  const { database, id, processID } = connection
  return { database, layer, connection: id, processID }
}
