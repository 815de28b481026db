import { PoolExhaustedError } from '../errors.ts'
import type { Frame } from '../transaction/frame.ts'
import type { Source } from './source.ts'

/**
 * Finds the wait that can not end: all clients of a pool are held by transactions, and each of
 * those waits for one more.
 */
export class FullPool {
  readonly #source: Source
  /** The transactions whose code waits for a client, with the number of its waits. */
  readonly #waiting = new Map<Frame, number>()

  constructor(source: Source) {
    this.#source = source
  }

  /** Waits for a client for code that keeps `held` waiting, or refuses where that would be for ever. */
  async wait<T>(held: ReadonlySet<Frame>, borrow: () => Promise<T>): Promise<T> {
    if (held.size === 0) return borrow()
    const { lent, capacity } = this.#source
    const others = [...this.#waiting.keys()].filter((root) => !root.ended)
    const waiting = new Set([...others, ...held]).size
    if (lent >= capacity && waiting >= lent) {
      throw new PoolExhaustedError(
        `all ${capacity} clients of the pool are held by transactions, and each of these waits for one more. ` +
          'Make the pool larger, or ask for the second client outside of the first transaction',
      )
    }
    for (const root of held) this.#count(root, 1)
    try {
      return await borrow()
    } finally {
      for (const root of held) this.#count(root, -1)
    }
  }

  #count(root: Frame, by: 1 | -1): void {
    const waits = (this.#waiting.get(root) ?? 0) + by
    if (waits === 0) this.#waiting.delete(root)
    else this.#waiting.set(root, waits)
  }
}
