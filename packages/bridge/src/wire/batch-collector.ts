import type { Frame } from '../transaction/frame.ts'
import type { QueueEntry } from './queue-entry.ts'

/** Collects the statements of a batch in the queue, which sends nothing until all have come. */
export class BatchCollector {
  readonly #frame: Frame
  readonly #onRelease: () => void
  #onArrival: (() => void) | undefined
  /** Whether all statements that have come can be sent in one pipeline. */
  isWhole = true

  constructor(frame: Frame, onRelease: () => void) {
    this.#frame = frame
    this.#onRelease = onRelease
  }

  /** Starts an item. Resolves with true once its statement is queued, with false if it ends without one. */
  start(item: () => Promise<unknown>): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#onArrival = () => resolve(true)
    const isOver = (): void => resolve(false)
    item().then(isOver, isOver)
    return promise
  }

  /** Called for each entry that is queued. */
  note(entry: QueueEntry): void {
    if (!entry.frame?.isInside(this.#frame)) return
    this.isWhole &&= entry.isPipelinable
    this.#onArrival?.()
  }

  /** Lets the queue send what has come. */
  release(): void {
    this.#onRelease()
  }
}
