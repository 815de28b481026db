import { AsyncResource } from 'node:async_hooks'
import type { Frame } from './frame.ts'
import type { CallSite } from './call-site.ts'
import type { TransactionStack } from './stack.ts'

interface Waiter {
  readonly frame: Frame
  /** True if it waits to end the frame. */
  readonly ends: boolean
  readonly start: () => void
  readonly refuse: (error: unknown) => void
}

/** Measures how long a wait has lasted while the connection was idle. */
interface Clock {
  stop(): void
}

/** Starts the clock of one wait. Returns `undefined` if waits have no time limit. */
export type StartClock = (
  frame: Frame,
  expire: (error: unknown) => void,
  callSite: CallSite | undefined,
) => Clock | undefined

/**
 * Decides when a frame may use its connection.
 *
 * Promises form a tree, but savepoints form a stack. So the statements of a frame, and the frames that
 * it opens, wait while a block of a callback API is open inside it. First come, first served.
 */
export class Turns {
  readonly #stack: TransactionStack
  readonly #startClock: StartClock
  #waiters: Waiter[] = []

  constructor(stack: TransactionStack, startClock: StartClock) {
    this.#stack = stack
    this.#startClock = startClock
  }

  /** The number of waiters. */
  get waiting(): number {
    return this.#waiters.length
  }

  /**
   * Calls `start` at the turn of `frame`: at once, or as soon as the block that it waits for has ended.
   * The call is synchronous, so that a frame that it opens makes the next waiter wait. `callSite` is
   * the user's call, if known. Aborting `signal` ends the wait.
   */
  run<T>(
    frame: Frame,
    start: () => Promise<T>,
    callSite?: CallSite,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#runWhenFree({ frame, ends: false }, start, callSite, signal)
  }

  /** Like `run`, for the end of a frame. It also waits for the blocks that have joined the frame. */
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
    // Its turn comes in the code of others.
    const caller = new AsyncResource('shared-connection')
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
          caller.runInAsyncScope(start).then(resolve, reject)
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

  /** Must be called when frames have ended. Starts the next waiters and rejects those of ended frames. */
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
        // The waiter may have ended or opened frames, so all others must be checked again.
        at = 0
      } else at++
    }
  }
}
