import { AsyncResource } from 'node:async_hooks'
import { acquireChannel, releaseChannel } from '../instrumentation/channels.ts'
import type { Layer } from '../transaction/frame.ts'
import { type Scope, runIn } from '../transaction/scope.ts'
import type { ObservedQuery } from '../protocol/observed-query.ts'
import type { Connection } from '../connection/connection.ts'
import { Checkout } from './checkout.ts'
import type { PgClient, PgPool, QueryResult } from '../protocol/pg.ts'
import { rejectWithCallerStack } from '../wire/caller-stack.ts'
import type { Done } from '../wire/query-sender.ts'
import type { Statement } from '../wire/statement.ts'

/** A connection that was taken, and how to give it back. */
interface Taken {
  readonly connection: Connection
  readonly release: (discard: boolean) => void
}

/** Where connections come from. */
export abstract class Source {
  /** How many connections are lent. */
  inUse = 0
  /** How many of these only for one statement. */
  #sending = 0
  /** The others. */
  readonly #kept: Connection[] = []
  /** How many there can be at once. */
  abstract readonly capacity: number

  /** Takes one as soon as there is one, and listens to it from that moment on. */
  protected abstract take(give: (taken: Taken) => void, refuse: (error: unknown) => void): void

  /** Borrows one, for code that stands under `link`. */
  async acquire(layer: Layer, scope: Scope | undefined): Promise<Checkout> {
    const take = (): Promise<Taken> => new Promise((give, refuse) => this.take(give, refuse))
    // a new client lives longer than the code that happens to ask for it: it must not keep its scope
    const checkout = this.#checkOut(
      await (scope === undefined ? take() : runIn(undefined, take)),
      layer,
    )
    const { lost } = checkout.connection
    if (lost === undefined) return checkout
    await checkout.release(true)
    throw lost
  }

  /**
   * Sends one statement, of which only its sender hears, on a connection that is taken for it alone:
   * nothing can stand in front of it or behind, so it needs no queue.
   */
  send(statement: Statement): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      // the pool may call back in the context of whoever gives a client back
      const caller = new AsyncResource('shared-connection')
      const send = ({ connection, release }: Taken): void => {
        this.inUse++
        this.#sending++
        const checkout = new Checkout(connection, (discard) => {
          this.#sending--
          this.#takeBack(connection, discard, release)
        })
        let isOver = false
        const done: Done = (error, result) => {
          // of a value that it can not serialise pg tells, and once more of what the server says then
          if (isOver) return
          isOver = true
          try {
            const failure = connection.onCompleted(undefined, statement, error, result)
            const back = checkout.release()
            if (failure === undefined) resolve(result as QueryResult)
            else resolve(rejectWithCallerStack(failure, back))
          } catch (thrown) {
            // by a listener that the user has on the pool
            reject(thrown)
          }
        }
        const speak = (): void =>
          caller.runInAsyncScope(() => connection.dispatcher.sender.query(statement, done))
        // a client that has just connected tells the user so before anything is sent
        if (connection.client.readyForQuery === true) speak()
        else queueMicrotask(speak)
      }
      this.take(send, reject)
    })
  }

  /** The streams that hold connections between two of their pages. */
  get streams(): readonly ObservedQuery[] {
    return this.#kept.flatMap(({ dispatcher }) => dispatcher.stream ?? [])
  }

  /** When something last happened on one of the connections, as `performance.now()` tells it. */
  get idleSince(): number {
    if (this.#sending > 0) return performance.now()
    return Math.max(...this.#kept.map(({ dispatcher }) => dispatcher.idleSince))
  }

  #checkOut({ connection, release }: Taken, layer: Layer): Checkout {
    const { client, onNotice } = connection
    this.inUse++
    this.#kept.push(connection)
    client.on('notice', onNotice)
    if (acquireChannel.hasSubscribers) acquireChannel.publish(event(connection, layer))
    return new Checkout(connection, (discard) => {
      this.#kept.splice(this.#kept.indexOf(connection), 1)
      const discarded = this.#takeBack(connection, discard, release)
      client.removeListener('notice', onNotice)
      if (releaseChannel.hasSubscribers) {
        releaseChannel.publish({ ...event(connection, layer), discarded })
      }
    })
  }

  /** Gives it back to where it was taken from. Tells whether it was closed. */
  #takeBack(
    { client, isDoubtful, lost, onError }: Connection,
    discard: boolean,
    release: (discard: boolean) => void,
  ): boolean {
    this.inUse--
    const status = client.getTransactionStatus()
    const isOpen = status === 'T' || status === 'E'
    const discarded = discard || isOpen || isDoubtful || lost !== undefined
    const listeners = discarded ? client.listeners('error') : []
    release(discarded)
    if (!discarded) client.removeListener('error', onError)
    // What is closed may still hear of an error. That is nobody's: without a listener of ours, or
    // with the one that the pool has for idle clients, it would end the process.
    else
      for (const other of client.listeners('error')) {
        if (!listeners.includes(other)) client.removeListener('error', other)
      }
    return discarded
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

  protected take(give: (taken: Taken) => void, refuse: (error: unknown) => void): void {
    let became: 'taken' | 'refused' | undefined
    const take = (client: PgClient): void => {
      // whoever asked has gone on without it
      if (became === 'refused') client.release?.()
      if (became !== undefined) return
      became = 'taken'
      const connection = this.#connectionOf(client)
      // at once: its session may end with the very next message
      client.on('error', connection.onError)
      // the pool writes a new `release` on the client each time
      const { release } = client
      give({ connection, release: (discard) => release?.call(client, discard) })
    }
    const fail = (error: unknown): void => {
      became ??= 'refused'
      refuse(error)
    }
    const answer = this.#connect.call(this.#pool, (error: Error | undefined, client: PgClient) => {
      if (error) fail(error)
      else take(client)
    })
    // of a pool whose `connect` somebody has wrapped, and that may know no callbacks
    answer?.then((client?: PgClient) => client && take(client), fail)
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

  protected take(give: (taken: Taken) => void): void {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.#last = promise
    void before.then(() => {
      const connection = this.#connection
      const { client, onError } = connection
      // a client that is gone keeps its listener, since nobody else hears of what it may still say
      if (!client.listeners('error').includes(onError)) client.on('error', onError)
      const release = (discard: boolean): void => {
        // it can not be exchanged for another, so what is open on it is rolled back
        const isOpen = discard && connection.lost === undefined
        const closed = isOpen
          ? (this.#query.call(client, 'rollback') as Promise<unknown>)
          : undefined
        // if that fails, so will the next statement, and its sender is told
        resolve(closed?.catch(() => undefined))
      }
      give({ connection, release })
    })
  }
}

function event(connection: Connection, layer: Layer): object {
  const { database, id, processID } = connection
  return { database, layer, connection: id, processID }
}
