import type { Connection } from '../connection/connection.ts'
import type { PgClient } from '../protocol/pg.ts'
import type { Layer } from '../transaction/frame.ts'
import { whenIdle } from '../protocol/idle.ts'

/** Counts the connections that are taken. */
export interface CheckoutObserver {
  /** Called before the connection is given back, since the pool may hand it to the next one at once. */
  onRelease(checkout: Checkout, isDiscarded: boolean): void
}

/** A connection that was taken from its source, to be given back once. */
export class Checkout {
  readonly connection: Connection
  /** The layer that keeps it; `undefined` if it was taken for a single statement. */
  layer: Layer | undefined
  readonly #observer: CheckoutObserver
  readonly #giveBack: (discard: boolean) => void
  #isReleased = false

  constructor(
    connection: Connection,
    observer: CheckoutObserver,
    giveBack: (discard: boolean) => void,
  ) {
    this.connection = connection
    this.#observer = observer
    this.#giveBack = giveBack
  }

  /**
   * Returns it to its source; with `discard` it is closed. A second call does nothing. Returns a promise where
   * an answer of the server is still to come, which the next user of the client must not get.
   */
  release(discard = false): Promise<void> | undefined {
    if (this.#isReleased) return undefined
    this.#isReleased = true
    const { client, isDoubtful, lost } = this.connection
    const isUnusable = discard || isDoubtful || lost !== undefined
    const busy = isUnusable ? undefined : whenIdle(client)
    if (busy !== undefined) return busy.then(() => this.#return(false))
    this.#return(discard)
    return undefined
  }

  #return(discard: boolean): void {
    const { client, isDoubtful, lost, onError } = this.connection
    const status = client.getTransactionStatus()
    const isOpen = status === 'T' || status === 'E'
    const isDiscarded = discard || isOpen || isDoubtful || lost !== undefined
    this.#observer.onRelease(this, isDiscarded)
    const listeners = isDiscarded ? client.listeners('error') : []
    this.#giveBack(isDiscarded)
    if (isDiscarded) removeErrorListeners(client, listeners)
    else client.removeListener('error', onError)
  }
}

/**
 * Removes the error listeners but those given. A client that was closed may still emit an error, which
 * is nobody's: the listener that the pool has for idle clients would let it end the process.
 */
function removeErrorListeners(client: PgClient, except: readonly unknown[]): void {
  for (const listener of client.listeners('error')) {
    if (!except.includes(listener)) client.removeListener('error', listener)
  }
}
