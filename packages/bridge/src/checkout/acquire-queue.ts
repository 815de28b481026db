import { PoolExhaustedError } from '../errors.ts'
import { type CallSite, callSiteHere, linesOf } from '../transaction/call-site.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import type { Scope } from '../transaction/scope.ts'
import { IdleTimeout } from '../wire/idle-timeout.ts'
import { behindStream } from '../wire/stream-timeout.ts'
import type { Checkout } from './checkout.ts'
import type { Source } from './source.ts'

/** Acquires connections, and rejects those who would wait for one for ever. */
export class AcquireQueue {
  readonly #source: Source
  readonly #pending = new Set<PendingAcquire>()
  /**
   * Rejects waits while a stream outside any transaction holds a connection and nothing happens on any
   * connection: the reader of the stream may be what waits here.
   */
  readonly #idleTimeout: IdleTimeout<PendingAcquire>

  constructor(source: Source, turnTimeout: number) {
    this.#source = source
    this.#idleTimeout = new IdleTimeout(
      turnTimeout,
      this.#pending,
      () => (source.streams.length > 0 ? source.idleSince : Infinity),
      (pending) =>
        pending.reject(
          behindStream(WHAT, turnTimeout, pending.callSite, source.streams[0]?.callSite),
        ),
    )
  }

  /**
   * Acquires a connection for code in the scope, which keeps the transactions `held` waiting; rejects
   * if that would wait for ever. After `signal` is aborted it waits no more, and the connection goes
   * to the next.
   */
  acquire(
    layer: Layer,
    scope: Scope | undefined,
    held: ReadonlySet<Frame>,
    signal?: AbortSignal,
  ): Promise<Checkout> {
    const mustWatch = held.size > 0 || signal !== undefined || this.isFull
    if (!mustWatch) return this.#source.acquire(layer, scope)
    return this.#watch(() => this.#source.acquire(layer, scope), held, signal)
  }

  async #watch(
    acquire: () => Promise<Checkout>,
    held: ReadonlySet<Frame>,
    signal?: AbortSignal,
  ): Promise<Checkout> {
    // Only the errors about transactions and streams name the call site, and it costs a stack trace.
    const needsCallSite = held.size > 0 || this.#source.streams.length > 0
    const pending = new PendingAcquire(held, needsCallSite ? callSiteHere() : {})
    const giveUp = (): void => pending.reject(signal?.reason)
    signal?.addEventListener('abort', giveUp)
    this.#pending.add(pending)
    this.#idleTimeout.start()
    try {
      this.#rejectNewest()
      pending.throwIfRejected()
      const checkout = await pending.settle(acquire())
      this.#pending.delete(pending)
      // This may have been the last connection that could have come to another.
      this.#rejectNewest()
      return checkout
    } finally {
      this.#pending.delete(pending)
      signal?.removeEventListener('abort', giveUp)
      if (this.#pending.size === 0) this.#idleTimeout.stop()
    }
  }

  /** Whether all connections are taken. */
  get isFull(): boolean {
    return this.#source.inUse >= this.#source.capacity
  }

  /** Rejects the newest if every connection is held by a transaction that waits for one more. */
  #rejectNewest(): void {
    if (!this.isFull) return
    const holders = new Set<Frame>()
    let newest: PendingAcquire | undefined
    for (const pending of this.#pending) {
      for (const root of pending.held) if (!root.ended) holders.add(root)
      if (pending.held.size > 0) newest = pending
    }
    if (holders.size < this.#source.inUse) return
    newest?.reject(exhausted(this.#source.capacity, holders, newest.callSite))
  }
}

/** A wait for a connection while all are taken. */
class PendingAcquire {
  /** The transactions that the waiting code keeps waiting. */
  readonly held: ReadonlySet<Frame>
  readonly callSite: CallSite
  readonly since = performance.now()
  #rejection: { readonly reason: unknown } | undefined
  #reject: ((reason: unknown) => void) | undefined

  constructor(held: ReadonlySet<Frame>, callSite: CallSite) {
    this.held = held
    this.callSite = callSite
  }

  reject(reason: unknown): void {
    this.#rejection ??= { reason }
    this.#reject?.(reason)
  }

  throwIfRejected(): void {
    if (this.#rejection !== undefined) throw this.#rejection.reason
  }

  /** Settles with `acquiring`, unless it was rejected before: then what comes later goes to the next. */
  settle(acquiring: Promise<Checkout>): Promise<Checkout> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      acquiring.then((checkout) => {
        if (this.#rejection === undefined) resolve(checkout)
        else void checkout.release()
      }, reject)
    })
  }
}

const WHAT = 'for a client of the pool while all were in use'

function exhausted(
  capacity: number,
  waiting: ReadonlySet<Frame>,
  callSite: CallSite,
): PoolExhaustedError {
  const holders = [...waiting].map((root) => linesOf(root.callSite))
  const held =
    capacity === 1
      ? 'the only client of the pool is held by a transaction, which waits for one more. '
      : `all ${capacity} clients of the pool are held by transactions, and each of these waits for one more. `
  return new PoolExhaustedError(
    held +
      'Make the pool larger, or ask for the second client outside of the first transaction. ' +
      `The client was asked for\n${linesOf(callSite)}\nand ${capacity === 1 ? 'the transaction' : 'those that hold all of them'} began\n${holders.join('\nand\n')}`,
  )
}
