import { PoolExhaustedError } from '../errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { linesOf, type CallSite, callSiteHere } from '../transaction/call-site.ts'
import { behindStream } from '../wire/behind-stream.ts'
import type { Checkout } from './checkout.ts'
import type { Source } from './source.ts'
import { PendingAcquire } from './pending-acquire.ts'

/** Finds and ends waits for a client that would never come. */
export class AcquireQueue {
  readonly #source: Source
  readonly #timeout: number
  readonly #waits = new Set<PendingAcquire>()
  #timer: NodeJS.Timeout | undefined

  constructor(source: Source, turnTimeout: number) {
    this.#source = source
    this.#timeout = turnTimeout
  }

  /**
   * Borrows a client for code that keeps the transactions `held` waiting; refuses where that would
   * wait for ever. Who aborts `signal` waits no more, and leaves the client to the next. `borrow`
   * asks the source.
   */
  acquire(
    acquire: () => Promise<Checkout>,
    held: ReadonlySet<Frame>,
    signal?: AbortSignal,
  ): Promise<Checkout> {
    const waits = held.size > 0 || signal !== undefined || this.isFull
    return waits ? this.#wait(acquire, held, signal) : acquire()
  }

  async #wait(
    acquire: () => Promise<Checkout>,
    held: ReadonlySet<Frame>,
    signal?: AbortSignal,
  ): Promise<Checkout> {
    // where it can not be needed, the stack is not worth its price
    const isTold = held.size > 0 || this.#source.streams.length > 0
    const wait = new PendingAcquire(held, isTold ? callSiteHere() : {})
    const giveUp = (): void => wait.end(signal?.reason)
    signal?.addEventListener('abort', giveUp)
    this.#waits.add(wait)
    if (this.#timeout > 0) this.#timer ??= setTimeout(this.#look, this.#timeout)
    try {
      this.#refuseNewest()
      wait.throwIfEnded()
      const checkout = await wait.for(acquire())
      this.#waits.delete(wait)
      // the last client that could have come to another has come here
      this.#refuseNewest()
      return checkout
    } finally {
      this.#waits.delete(wait)
      signal?.removeEventListener('abort', giveUp)
      if (this.#waits.size === 0) {
        clearTimeout(this.#timer)
        this.#timer = undefined
      }
    }
  }

  /** Whether all clients are lent. */
  get isFull(): boolean {
    return this.#source.inUse >= this.#source.capacity
  }

  /** Where every client is held by a transaction that waits for one more, one of them has to give way. */
  #refuseNewest(): void {
    if (!this.isFull) return
    const holders = new Set<Frame>()
    let newest: PendingAcquire | undefined
    for (const wait of this.#waits) {
      for (const root of wait.held) if (!root.ended) holders.add(root)
      if (wait.held.size > 0) newest = wait
    }
    if (holders.size < this.#source.inUse) return
    newest?.end(exhausted(this.#source.capacity, holders, newest.asked))
  }

  /**
   * Ends what waits while a stream outside any transaction holds a client, and nothing has happened
   * on any client for the time of a turn: the code that reads the stream may be what waits here.
   */
  readonly #look = (): void => {
    const timeout = this.#timeout
    const [stream] = this.#source.streams
    const idleSince = stream === undefined ? Infinity : this.#source.idleSince
    let next = timeout
    for (const wait of this.#waits) {
      const idle = performance.now() - Math.max(wait.began, idleSince)
      // timers may fire a fraction of a millisecond early
      if (idle >= timeout - 1) wait.end(behindStream(WHAT, timeout, wait.asked, stream?.callSite))
      else next = Math.min(next, timeout - idle)
    }
    this.#timer = setTimeout(this.#look, next)
  }
}

const WHAT = 'for a client of the pool while all were in use'

function exhausted(
  capacity: number,
  waiting: ReadonlySet<Frame>,
  asked: CallSite,
): PoolExhaustedError {
  const holders = [...waiting].map((root) => linesOf(root.callSite))
  return new PoolExhaustedError(
    `all ${capacity} clients of the pool are held by transactions, and each of these waits for one more. ` +
      'Make the pool larger, or ask for the second client outside of the first transaction. ' +
      `The client was asked for\n${linesOf(asked)}\nand those that hold all of them began\n${holders.join('\nand\n')}`,
  )
}
