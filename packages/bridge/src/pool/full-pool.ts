import { PoolExhaustedError } from '../errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { linesOf, type Origin, originHere } from '../transaction/origin.ts'
import { behindStream } from './behind-stream.ts'
import { leaveToTheNext, orAborted } from './or-aborted.ts'
import type { Loan, Source } from './source.ts'

/** A wait for a client, by code that keeps transactions waiting. */
interface Wait {
  readonly held: ReadonlySet<Frame>
  readonly asked: Origin
  /** Ends it. */
  readonly end: AbortController
}

/** Finds and ends waits for a client that would never come. */
export class FullPool {
  readonly #source: Source
  readonly #timeout: number
  readonly #waits = new Set<Wait>()

  constructor(source: Source, turnTimeout: number) {
    this.#source = source
    this.#timeout = turnTimeout
  }

  /**
   * Waits for a client for code that keeps the transactions `held` waiting; refuses where that would
   * be for ever. Who aborts `signal` waits no more, and leaves the client to the next.
   */
  async wait(
    held: ReadonlySet<Frame>,
    borrow: () => Promise<Loan>,
    signal?: AbortSignal,
  ): Promise<Loan> {
    if (held.size === 0 && signal === undefined && !this.#isFull) return borrow()
    // where it can not be needed, the stack is not worth its price
    const isTold = held.size > 0 || this.#source.streams.length > 0
    const wait: Wait = { held, asked: isTold ? originHere() : {}, end: new AbortController() }
    const giveUp = (): void => wait.end.abort(signal?.reason)
    signal?.addEventListener('abort', giveUp)
    const clock = this.#watch(wait)
    if (held.size > 0) this.#waits.add(wait)
    try {
      this.#refuseNewest()
      wait.end.signal.throwIfAborted()
      const borrowing = borrow()
      const loan = await orAborted(borrowing, wait.end.signal, () => leaveToTheNext(borrowing))
      this.#waits.delete(wait)
      // the last client that could have come to another has come here
      this.#refuseNewest()
      return loan
    } finally {
      this.#waits.delete(wait)
      signal?.removeEventListener('abort', giveUp)
      clearTimeout(clock.timer)
    }
  }

  get #isFull(): boolean {
    return this.#source.lent >= this.#source.capacity
  }

  /** Where every client is held by a transaction that waits for one more, one of them has to give way. */
  #refuseNewest(): void {
    if (!this.#isFull) return
    const holders = new Set<Frame>()
    for (const { held } of this.#waits) {
      for (const root of held) if (!root.ended) holders.add(root)
    }
    if (holders.size < this.#source.lent) return
    const newest = [...this.#waits].at(-1)
    newest?.end.abort(exhausted(this.#source.capacity, holders, newest.asked))
  }

  /**
   * Ends the wait when a stream outside any transaction holds a client, and nothing has happened on
   * any client for the time of a turn: the code that reads the stream may be what waits here.
   */
  #watch(wait: Wait): { timer?: NodeJS.Timeout } {
    const timeout = this.#timeout
    const source = this.#source
    const clock: { timer?: NodeJS.Timeout } = {}
    if (timeout === 0) return clock
    const began = performance.now()
    const look = (): void => {
      const [stream] = source.streams
      const idle = stream === undefined ? 0 : performance.now() - Math.max(began, source.idleSince)
      // timers may fire a fraction of a millisecond early
      if (idle < timeout - 1) clock.timer = setTimeout(look, timeout - idle)
      else wait.end.abort(behindStream(WHAT, timeout, wait.asked, stream?.origin))
    }
    clock.timer = setTimeout(look, timeout)
    return clock
  }
}

const WHAT = 'for a client of the pool while all were in use'

function exhausted(
  capacity: number,
  waiting: ReadonlySet<Frame>,
  asked: Origin,
): PoolExhaustedError {
  const holders = [...waiting].map((root) => linesOf(root.origin))
  return new PoolExhaustedError(
    `all ${capacity} clients of the pool are held by transactions, and each of these waits for one more. ` +
      'Make the pool larger, or ask for the second client outside of the first transaction. ' +
      `The client was asked for\n${linesOf(asked)}\nand those that hold all of them began\n${holders.join('\nand\n')}`,
  )
}
