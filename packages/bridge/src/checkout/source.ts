import { AsyncResource } from 'node:async_hooks'
import { acquireChannel, releaseChannel } from '../instrumentation/channels.ts'
import type { Connection } from '../connection/connection.ts'
import type { ObservedQuery } from '../protocol/observed-query.ts'
import type { QueryResult } from '../protocol/pg.ts'
import type { Layer } from '../transaction/frame.ts'
import { type Scope, runIn } from '../transaction/scope.ts'
import { rejectWithCallerStack } from '../wire/caller-stack.ts'
import type { Statement } from '../wire/statement.ts'
import type { Checkout, CheckoutObserver } from './checkout.ts'

/** Where connections come from. */
export abstract class Source implements CheckoutObserver {
  /** The number of connections that are taken. */
  inUse = 0
  /** How many of these were taken for a single statement. */
  #sending = 0
  /** The others. */
  readonly #kept: Connection[] = []
  /** The largest number of connections that can be taken at once. */
  abstract readonly capacity: number

  /** Takes a connection as soon as one is free, and listens to its errors from that moment on. */
  protected abstract take(
    receive: (checkout: Checkout) => void,
    refuse: (error: unknown) => void,
  ): void

  /** Takes a connection for code in the scope. */
  async acquire(layer: Layer, scope: Scope | undefined): Promise<Checkout> {
    const take = (): Promise<Checkout> =>
      new Promise((resolve, reject) => this.take(resolve, reject))
    // A new client outlives the code that happens to ask for it, so it must not keep that code's scope.
    const checkout = await (scope === undefined ? take() : runIn(undefined, take))
    this.#keep(checkout, layer)
    const { lost } = checkout.connection
    if (lost === undefined) return checkout
    await checkout.release(true)
    throw lost
  }

  /**
   * Sends one statement on a connection that is taken for it alone. Nothing can stand in front of it
   * or behind it, so it needs no queue.
   */
  send(statement: Statement): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      // The pool may call back in the context of the code that gives a client back.
      const caller = new AsyncResource('shared-connection')
      this.take((checkout) => {
        this.inUse++
        this.#sending++
        const send = (): void =>
          caller.runInAsyncScope(sendOn, null, checkout, statement, resolve, reject)
        // The listeners of a new connection run before anything is sent on it.
        if (checkout.connection.client.readyForQuery === true) send()
        else queueMicrotask(send)
      }, reject)
    })
  }

  /** The streams that hold connections between two of their pages. */
  get streams(): readonly ObservedQuery[] {
    return this.#kept.flatMap(({ dispatcher }) => dispatcher.stream ?? [])
  }

  /** The time of `performance.now()` when something last happened on one of the connections. */
  get idleSince(): number {
    if (this.#sending > 0) return performance.now()
    return Math.max(...this.#kept.map(({ dispatcher }) => dispatcher.idleSince))
  }

  #keep(checkout: Checkout, layer: Layer): void {
    const { connection } = checkout
    checkout.layer = layer
    this.inUse++
    this.#kept.push(connection)
    connection.client.on('notice', connection.onNotice)
    if (acquireChannel.hasSubscribers) acquireChannel.publish(eventOf(connection, layer))
  }

  onRelease({ connection, layer }: Checkout, discarded: boolean): void {
    this.inUse--
    if (layer === undefined) {
      this.#sending--
      return
    }
    this.#kept.splice(this.#kept.indexOf(connection), 1)
    connection.client.removeListener('notice', connection.onNotice)
    if (releaseChannel.hasSubscribers) {
      releaseChannel.publish({ ...eventOf(connection, layer), discarded })
    }
  }
}

function sendOn(
  checkout: Checkout,
  statement: Statement,
  resolve: (result: QueryResult | Promise<never>) => void,
  reject: (error: unknown) => void,
): void {
  const { connection } = checkout
  let isDone = false
  connection.dispatcher.sender.query(statement, (error, result) => {
    // pg reports a value that it cannot serialise, and then also the error that the server has for it
    if (isDone) return
    isDone = true
    try {
      const failure = connection.onCompleted(undefined, statement, error ?? undefined, result)
      const back = checkout.release()
      if (failure === undefined) resolve(result as QueryResult)
      else resolve(rejectWithCallerStack(failure, back))
    } catch (thrown) {
      // A listener of the user's on the pool has thrown.
      reject(thrown)
    }
  })
}

function eventOf(connection: Connection, layer: Layer): object {
  const { database, id, processID } = connection
  return { database, layer, connection: id, processID }
}
