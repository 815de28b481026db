import type { Connection } from '../connection/connection.ts'
import { whenIdle } from '../wire/idle.ts'

/** A connection that was taken from its source, to be given back once. */
export class Checkout {
  readonly connection: Connection
  readonly #finish: (discard: boolean) => void
  #isOut = true

  constructor(connection: Connection, finish: (discard: boolean) => void) {
    this.connection = connection
    this.#finish = finish
  }

  /**
   * Gives it back; with `discard` it is closed. A second call does nothing. Resolves when it is
   * back, where that takes another answer of the server.
   */
  release(discard = false): Promise<void> | undefined {
    if (!this.#isOut) return undefined
    this.#isOut = false
    const { client, isDoubtful, lost } = this.connection
    const isLost = isDoubtful || lost !== undefined
    const busy = discard || isLost ? undefined : whenIdle(client)
    if (busy !== undefined) return busy.then(() => this.#finish(false))
    this.#finish(discard)
    return undefined
  }
}
