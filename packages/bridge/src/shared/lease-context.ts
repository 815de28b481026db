import type { Lease } from '../pool/lease.ts'
import type { Frame } from '../transaction/frame.ts'
import { type TransactionFrame, viewOf } from './frame-view.ts'

/** Makes the layers' handles for the transaction of a lease. */
export interface HandleMaker {
  drizzle(lease: Lease): unknown
  kysely(lease: Lease): unknown
}

/** What the callback of `shared.transaction()` gets in a transaction. Handles are made when they are asked for. */
export class LeaseContext {
  readonly #make: HandleMaker
  readonly #lease: Lease
  readonly #frame: Frame
  #tx: unknown
  #trx: unknown
  #view: TransactionFrame | undefined
  #signal: AbortSignal | undefined

  constructor(make: HandleMaker, lease: Lease, frame: Frame) {
    this.#make = make
    this.#lease = lease
    this.#frame = frame
    for (const [name, getter] of LeaseContext.#parts) Object.defineProperty(this, name, getter)
  }

  /** What can end the block, if anything can. */
  get #given(): AbortSignal | undefined {
    return this.#lease.signal ?? this.#frame.signal
  }

  /**
   * Its parts are properties of its own, so that it can be spread. Their getters are the same for
   * all: V8 keeps getters of one object, and what they refer to, until the next full collection.
   */
  static readonly #parts = Object.entries({
    tx: part((own) => (own.#tx ??= own.#make.drizzle(own.#lease))),
    trx: part((own) => (own.#trx ??= own.#make.kysely(own.#lease))),
    frame: part((own) => (own.#view ??= viewOf(own.#frame))),
    signal: part((own) => (own.#signal ??= own.#given ?? new AbortController().signal)),
  })
}

function part(get: (own: LeaseContext) => unknown): PropertyDescriptor {
  return {
    get(this: LeaseContext) {
      return get(this)
    },
    enumerable: true,
    configurable: true,
  }
}
