import type { Frame } from '../transaction/frame.ts'
import type { Outcome } from '../transaction/outcome.ts'

type Ending = (outcome: Outcome, error: unknown) => Promise<void> | undefined

/** What is to be done when a transaction has ended: once, and before its hooks run. */
export class Endings {
  readonly #endings = new WeakMap<Frame, Ending>()

  /** Says what is to be done at the end of a transaction. */
  set(root: Frame, ending: Ending): void {
    this.#endings.set(root, ending)
  }

  /** Does it. A second call does nothing. */
  conclude(root: Frame, outcome: Outcome, error: unknown): Promise<void> | undefined {
    const ending = this.#endings.get(root)
    this.#endings.delete(root)
    return ending?.(outcome, error)
  }

  /** Resolves when the transaction has ended. */
  whenEnded(root: Frame): Promise<void> {
    const ending = this.#endings.get(root)
    if (ending === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      this.#endings.set(root, (outcome, error) => {
        resolve()
        return ending(outcome, error)
      })
    })
  }
}
