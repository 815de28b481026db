const SLEEP_FROM = 2.5
const NAP_FROM = 0.2

const cell = new Int32Array(new SharedArrayBuffer(4))

/**
 * Runs functions after a fixed delay, in their order. Timers of Node count whole milliseconds, so the last
 * two are waited for in short sleeps, and the last tenths in turns of the event loop. That uses CPU time, so
 * it runs in a separate process.
 */
export class DelayLine {
  /** The delay in milliseconds. Change it only while no function is waiting. */
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
    // The shortest sleep of the system is a tenth of a millisecond, so arrivals are not late.
    if (left > NAP_FROM) Atomics.wait(cell, 0, 0, 0.01)
    setImmediate(this.#turn)
  }
}
