import type { Frame } from './frame.ts'
import type { CallSite } from './call-site.ts'
import type { TransactionStack } from './stack.ts'

interface Waiter {
  readonly frame: Frame
  /** Whether it waits to end the frame. */
  readonly ends: boolean
  readonly start: () => void
  readonly refuse: (error: unknown) => void
}

/** Measures how long a wait has gone on while the connection did nothing. */
interface Clock {
  stop(): void
}

/** Starts the clock of one wait; `undefined` where waits have no end. */
export type StartClock = (
  frame: Frame,
  expire: (error: unknown) => void,
  callSite: CallSite | undefined,
) => Clock | undefined

/**
 * Whose turn it is on a connection.
 *
 * Promises are a tree and savepoints a stack: a frame's statements, and the frames that it opens,
 * wait while a block of a callback API is open inside it. First come, first served.
 */
export class Turns {
  readonly #stack: TransactionStack
  readonly #startClock: StartClock
  #waiters: Waiter[] = []

  constructor(stack: TransactionStack, startClock: StartClock) {
    this.#stack = stack
    this.#startClock = startClock
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.length
  }

  /**
   * Calls `start` when `frame` has its turn: at once, or as soon as the block in its way has ended.
   * It is called in the very moment the turn comes, so that what it opens is in the way of the next.
   * `origin` is where the user asked for it, where that is known. Who aborts `signal` waits no more.
   */
  run<T>(
    frame: Frame,
    start: () => Promise<T>,
    callSite?: CallSite,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#runWhenFree({ frame, ends: false }, start, callSite, signal)
  }

  /** The same for the end of a frame, which waits for the blocks that have joined it, too. */
  runEnd<T>(frame: Frame, start: () => Promise<T>): Promise<T> {
    return this.#runWhenFree({ frame, ends: true }, start, frame.callSite)
  }

  #runWhenFree<T>(
    options: Pick<Waiter, 'frame' | 'ends'>,
    start: () => Promise<T>,
    callSite?: CallSite,
    signal?: AbortSignal,
  ): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#isFree(options)) return start()
    return new Promise<T>((resolve, reject) => {
      const leave = (error: unknown): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        waiter.refuse(error)
      }
      const onAbort = (): void => leave(signal?.reason)
      const clock = this.#startClock(options.frame, leave, callSite)
      const done = (): void => {
        clock?.stop()
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        ...options,
        start: () => {
          done()
          start().then(resolve, reject)
        },
        refuse: (error) => {
          done()
          reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort)
      this.#waiters.push(waiter)
    })
  }

  #isFree({ frame, ends }: Pick<Waiter, 'frame' | 'ends'>): boolean {
    return (
      this.#stack.isFree(frame) && !(ends && frame.joined !== undefined && frame.joined.size > 0)
    )
  }

  /** To be called when frames have ended: starts those whose turn it is, refuses those whose frame is gone. */
  advance(refusal: (frame: Frame) => unknown): void {
    for (let at = 0; at < this.#waiters.length;) {
      const waiter = this.#waiters[at]
      if (waiter === undefined) return
      if (waiter.frame.ended) {
        this.#waiters.splice(at, 1)
        waiter.refuse(refusal(waiter.frame))
      } else if (this.#isFree(waiter)) {
        this.#waiters.splice(at, 1)
        waiter.start()
        // what has just started may have ended or opened frames: look at all the others again
        at = 0
      } else at++
    }
  }
}
