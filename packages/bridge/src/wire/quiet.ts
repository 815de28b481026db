/** Who waits for nothing to go on. */
export class Quiet {
  #waiters: (() => void)[] = []

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  tell(): void {
    if (this.#waiters.length === 0) return
    for (const resolve of this.#waiters.splice(0)) resolve()
  }
}
