import type { Lease } from '../database/lease.ts'
import type { Frame } from '../transaction/frame.ts'
import { type TransactionFrame, viewOf } from './frame-view.ts'

/** Makes the layers' handles for the transaction of a lease. */
export interface HandleMaker {
  drizzle(lease: Lease): unknown
  kysely(lease: Lease): unknown
}

/** The parts of a context. Each is made on first access. */
class Parts {
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
  }

  get tx(): unknown {
    return (this.#tx ??= this.#make.drizzle(this.#lease))
  }

  get trx(): unknown {
    return (this.#trx ??= this.#make.kysely(this.#lease))
  }

  get frame(): TransactionFrame {
    return (this.#view ??= viewOf(this.#frame))
  }

  get signal(): AbortSignal {
    const given = this.#lease.signal ?? this.#frame.signal
    return (this.#signal ??= given ?? new AbortController().signal)
  }
}

const PARTS = Symbol('shared-connection:parts')

interface Context {
  readonly [PARTS]: Parts
}

/**
 * The getters of all contexts. They find the parts through `this`, so a context can be wrapped and
 * inherited from. With closures instead, V8 would retain each context, and all that it refers to,
 * until the next full garbage collection.
 */
const GETTERS = (['tx', 'trx', 'frame', 'signal'] as const).map((name) => {
  const get = function (this: Context): unknown {
    return this[PARTS][name]
  }
  return { name, getter: { get, enumerable: true, configurable: true } }
})

/** Makes the context of a callback of `shared.transaction()`. It can be destructured and spread. */
export function contextOfLease(make: HandleMaker, lease: Lease, frame: Frame): object {
  const context = {}
  Object.defineProperty(context, PARTS, { value: new Parts(make, lease, frame) })
  for (const { name, getter } of GETTERS) Object.defineProperty(context, name, getter)
  return context
}
