import type { Frame } from '../transaction/frame.ts'
import type { QueueEntry } from './queue-entry.ts'

/** The statements of a batch on their way to the queue, which gives nothing out meanwhile. */
export class BatchCollector {
  readonly #frame: Frame
  readonly #onRelease: () => void
  readonly #canPipeline: (entry: QueueEntry) => boolean
  #onArrival: () => void = () => {}
  /** Whether all that have come can leave together. */
  isWhole = true

  constructor(frame: Frame, canPipeline: (entry: QueueEntry) => boolean, onRelease: () => void) {
    this.#frame = frame
    this.#canPipeline = canPipeline
    this.#onRelease = onRelease
  }

  /** Starts one, and tells whether it came to the queue, or has ended before. */
  start(item: () => Promise<unknown>): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#onArrival = () => resolve(true)
    const isOver = (): void => resolve(false)
    item().then(isOver, isOver)
    return promise
  }

  /** One has come to the queue. */
  note(entry: QueueEntry): void {
    if (!entry.frame?.isInside(this.#frame)) return
    this.isWhole &&= this.#canPipeline(entry)
    this.#onArrival()
  }

  /** Lets go what has come. */
  release(): void {
    this.#onRelease()
  }
}
