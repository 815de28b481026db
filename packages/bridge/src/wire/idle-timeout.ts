/** A wait, and when it began by `performance.now()`. */
interface Wait {
  readonly since: number
}

/** Ends waits during which nothing has happened for a time. */
export class IdleTimeout<W extends Wait> {
  readonly #timeout: number
  readonly #waits: Iterable<W>
  readonly #idleSince: () => number
  readonly #expire: (wait: W) => void
  #timer: NodeJS.Timeout | undefined

  /**
   * Looks at `waits` as they are at the time. `idleSince` gives the `performance.now()` of the last
   * thing that happened, and `Infinity` where the waits have no end. With a `timeout` of 0
   * milliseconds no wait is ended.
   */
  constructor(
    timeout: number,
    waits: Iterable<W>,
    idleSince: () => number,
    expire: (wait: W) => void,
  ) {
    this.#timeout = timeout
    this.#waits = waits
    this.#idleSince = idleSince
    this.#expire = expire
  }

  /** Starts the clock, if it does not run. */
  start(): void {
    if (this.#timeout > 0) this.#timer ??= setTimeout(this.#look, this.#timeout)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  readonly #look = (): void => {
    const idleSince = this.#idleSince()
    let next = this.#timeout
    // A copy, since a wait that ends is removed from them.
    for (const wait of Array.from(this.#waits)) {
      const idle = performance.now() - Math.max(wait.since, idleSince)
      // Timers may fire a fraction of a millisecond early.
      if (idle >= this.#timeout - 1) this.#expire(wait)
      else next = Math.min(next, this.#timeout - idle)
    }
    // The end of the last wait may have stopped it.
    if (this.#timer !== undefined) this.#timer = setTimeout(this.#look, next)
  }
}
