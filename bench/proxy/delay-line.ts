const SLEEP_FROM = 2.5
const NAP_FROM = 0.2

const cell = new Int32Array(new SharedArrayBuffer(4))

/**
 * Does what it is given after a fixed delay, in the order given. Timers of Node count whole
 * milliseconds, so the last two are passed in naps, and the last tenths in turns of the event loop.
 * That takes a processor's time, and is why it runs in a process of its own.
 */
export class DelayLine {
  /** In milliseconds. To be changed only while nothing waits. */
  delay: number
  readonly #waiting: { readonly due: number; readonly deliver: () => void }[] = []

  constructor(delay: number) {
    this.delay = delay
  }

  push(deliver: () => void): void {
    if (this.delay <= 0) {
      deliver()
      return
    }
    this.#waiting.push({ due: performance.now() + this.delay, deliver })
    if (this.#waiting.length === 1) this.#turn()
  }

  readonly #turn = (): void => {
    for (;;) {
      const [next] = this.#waiting
      if (next === undefined) return
      const left = next.due - performance.now()
      if (left > 0) {
        this.#wait(left)
        return
      }
      next.deliver()
      this.#waiting.shift()
    }
  }

  #wait(left: number): void {
    if (left > SLEEP_FROM) {
      setTimeout(this.#turn, Math.floor(left - SLEEP_FROM + 1))
      return
    }
    // as short as the system sleeps, a tenth of a millisecond: what arrives meanwhile is not late
    if (left > NAP_FROM) Atomics.wait(cell, 0, 0, 0.01)
    setImmediate(this.#turn)
  }
}
