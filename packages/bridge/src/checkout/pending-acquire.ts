import type { Frame } from '../transaction/frame.ts'
import type { CallSite } from '../transaction/call-site.ts'
import type { Checkout } from './checkout.ts'

/** A wait for a client of a pool whose clients are all in use. */
export class PendingAcquire {
  /** The transactions that the waiting code keeps waiting. */
  readonly held: ReadonlySet<Frame>
  readonly asked: CallSite
  readonly began = performance.now()
  #ended: { readonly reason: unknown } | undefined
  #reject: ((reason: unknown) => void) | undefined

  constructor(held: ReadonlySet<Frame>, asked: CallSite) {
    this.held = held
    this.asked = asked
  }

  /** Gives it up. */
  end(reason: unknown): void {
    this.#ended ??= { reason }
    this.#reject?.(reason)
  }

  throwIfEnded(): void {
    if (this.#ended !== undefined) throw this.#ended.reason
  }

  /** What comes, unless the wait ends before. What comes later is left to the next who waits. */
  for(borrowing: Promise<Checkout>): Promise<Checkout> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      borrowing.then((checkout) => {
        if (this.#ended === undefined) resolve(checkout)
        else void checkout.release()
      }, reject)
    })
  }
}
