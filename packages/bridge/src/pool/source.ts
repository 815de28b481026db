import { acquireChannel, releaseChannel } from '../instrumentation/channels.ts'
import type { Layer } from '../transaction/frame.ts'
import type { Connection } from './connection.ts'
import type { PgClient, PgPool } from './pg.ts'

/** A connection that was taken from its source, to be given back once. */
export interface Loan {
  readonly connection: Connection
  /** Gives it back; with `discard` it is closed. A second call does nothing. */
  giveBack(discard?: boolean): void
}

/** Where connections come from. */
export abstract class Source {
  /** How many connections are lent. */
  lent = 0

  abstract borrow(layer: Layer): Promise<Loan>

  protected lend(connection: Connection, layer: Layer, giveBack: (discard: boolean) => void): Loan {
    const { client } = connection
    this.lent++
    client.on('error', connection.onError)
    client.on('notice', connection.onNotice)
    if (acquireChannel.hasSubscribers) acquireChannel.publish(event(connection, layer))
    let isOut = true
    return {
      connection,
      giveBack: (discard = false) => {
        if (!isOut) return
        isOut = false
        this.lent--
        // The status byte can be trusted here: what failed last was rolled back since, or ran in
        // no transaction anyway.
        const status = client.getTransactionStatus()
        const isOpen = status === 'T' || status === 'E'
        const discarded = discard || isOpen || connection.lost !== undefined
        giveBack(discarded)
        client.removeListener('error', connection.onError)
        client.removeListener('notice', connection.onNotice)
        if (releaseChannel.hasSubscribers) {
          releaseChannel.publish({ ...event(connection, layer), discarded })
        }
      },
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

  async borrow(layer: Layer): Promise<Loan> {
    const client = (await this.#connect.call(this.#pool)) as PgClient
    // the pool writes a new `release` on the client each time
    const { release } = client
    return this.lend(this.#connectionOf(client), layer, (discard) => release?.call(client, discard))
  }
}

/** A single client is a pool of one: whole transactions take turns on it. */
export class ClientSource extends Source {
  readonly #connection: Connection
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
    return this.lend(this.#connection, layer, (discard) => {
      // it can not be exchanged for another, so what is open on it is rolled back
      const { client, lost } = this.#connection
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
