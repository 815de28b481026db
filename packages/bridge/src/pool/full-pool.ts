import { PoolExhaustedError, TurnTimeoutError } from '../errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { linesOf, type Origin, originHere } from '../transaction/origin.ts'
import { leaveToTheNext, orAborted } from './or-aborted.ts'
import type { Loan, Source } from './source.ts'

/** Finds and ends waits for a client that would never come. */
export class FullPool {
  readonly #source: Source
  readonly #timeout: number
  /** The transactions whose code waits for a client, with the number of its waits. */
  readonly #waiting = new Map<Frame, number>()

  constructor(source: Source, turnTimeout: number) {
    this.#source = source
    this.#timeout = turnTimeout
  }

  /** Waits for a client for code that keeps `held` waiting, or refuses where that would be for ever. */
  async wait(held: ReadonlySet<Frame>, borrow: () => Promise<Loan>): Promise<Loan> {
    const { lent, capacity } = this.#source
    if (lent < capacity) return borrow()
    const others = [...this.#waiting.keys()].filter((root) => !root.ended)
    const waiting = new Set([...others, ...held])
    if (held.size > 0 && waiting.size >= lent) throw exhausted(capacity, waiting)
    for (const root of held) this.#count(root, 1)
    try {
      return await this.#clocked(borrow())
    } finally {
      for (const root of held) this.#count(root, -1)
    }
  }

  #count(root: Frame, by: 1 | -1): void {
    const waits = (this.#waiting.get(root) ?? 0) + by
    if (waits === 0) this.#waiting.delete(root)
    else this.#waiting.set(root, waits)
  }

  /**
   * Ends the wait when a stream outside any transaction holds a client, and nothing has happened on
   * any client for the time of a turn: the code that reads the stream may be what waits here.
   */
  async #clocked(borrowing: Promise<Loan>): Promise<Loan> {
    const timeout = this.#timeout
    if (timeout === 0) return borrowing
    const overdue = new AbortController()
    const began = performance.now()
    const asked = this.#source.streams.length > 0 ? originHere() : undefined
    let timer = setTimeout(look, timeout, this.#source)

    function look(source: Source): void {
      const [stream] = source.streams
      const idle = performance.now() - Math.max(began, source.idleSince)
      if (stream === undefined) timer = setTimeout(look, timeout, source)
      // timers may fire a fraction of a millisecond early
      else if (idle < timeout - 1) timer = setTimeout(look, timeout - idle, source)
      else overdue.abort(behindStream(timeout, asked, stream.origin))
    }
    try {
      return await orAborted(borrowing, overdue.signal, () => leaveToTheNext(borrowing))
    } finally {
      clearTimeout(timer)
    }
  }
}

function exhausted(capacity: number, waiting: ReadonlySet<Frame>): PoolExhaustedError {
  const holders = [...waiting].map((root) => linesOf(root.origin))
  return new PoolExhaustedError(
    `all ${capacity} clients of the pool are held by transactions, and each of these waits for one more. ` +
      'Make the pool larger, or ask for the second client outside of the first transaction. ' +
      `The client was asked for\n${linesOf(originHere())}\nand those that hold all of them began\n${holders.join('\nand\n')}`,
  )
}

function behindStream(
  timeout: number,
  asked: Origin | undefined,
  stream: Origin | undefined,
): TurnTimeoutError {
  return new TurnTimeoutError(
    `waited for a client of the pool while all were in use and nothing happened on them for ${timeout} ms. ` +
      'A stream outside of a transaction holds one until it has been read. Does the code that reads it await what is waiting? ' +
      `Read it in a transaction, where others can query between two pages. The wait was asked for\n${linesOf(asked ?? {})}\n` +
      `and the stream began\n${linesOf(stream ?? {})}`,
  )
}
