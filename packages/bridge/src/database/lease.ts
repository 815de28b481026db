import type { TransactionModes } from '../sql/control-command.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import type { CallSite } from '../transaction/call-site.ts'
import type { Scope } from '../transaction/scope.ts'
import type { Connection } from '../connection/connection.ts'
import type { Checkout } from '../checkout/checkout.ts'

/** The use of a lease. */
export type LeaseKind =
  /** One call of a callback API. Its BEGIN opens a scoped frame, which only that call may end. */
  | 'block'
  /** A Kysely controlled transaction. The client is returned when it ends. */
  | 'controlled'
  /** A client of `pool.connect()`, which the user releases. */
  | 'plain'

/** The options for taking a connection. */
export interface LeaseOptions {
  /** By default `plain`. */
  readonly kind?: LeaseKind | undefined
  readonly layer: Layer
  /** The frame of the handle that asks, or `null` for none. By default that of the calling code. */
  readonly parent?: Frame | null | undefined
  /** The lease whose connection is used if there is no such frame. */
  readonly on?: Lease | undefined
  /** Whether the block works in the open frame instead of a savepoint. By default the setting `nesting` decides. */
  readonly joins?: boolean | undefined
  /** Options that the layer itself would ignore in a nested call. */
  readonly modes?: TransactionModes | undefined
  /** The scope of the block. */
  readonly scope?: Scope | undefined
  /** The user's call. */
  readonly callSite?: CallSite | undefined
  /** Aborted when the block is to end from outside, also while it waits to begin. */
  readonly signal?: AbortSignal | undefined
}

/** The transaction of a lease: its owner ends the frame, and a participant only leaves it. */
export interface LeaseTransaction {
  readonly role: 'owner' | 'participant'
  readonly frame: Frame
}

/**
 * One use of a connection. The statements of a handle (`tx`, `trx`, a client) go through its lease,
 * which says to which handle they belong. It can be used until it is released.
 */
export class Lease {
  readonly kind: LeaseKind
  readonly layer: Layer
  readonly connection: Connection
  /** The frame that it was taken in, on that frame's connection. */
  readonly parent: Frame | undefined
  /** The scope of the block that it serves. */
  readonly scope: Scope | undefined
  /** The progress of the block. Before and after the body, control commands are the layer's own. */
  phase: 'opening' | 'body' | 'closing' = 'opening'
  /** The transaction that it has opened, or that its block has joined. */
  transaction: LeaseTransaction | undefined
  /** Set while a manual transaction is ending: statements that are sent behind its end wait for it. */
  closing: Promise<void> | undefined
  /** Whether its block works in the frame that is open, instead of opening one. */
  readonly joins: boolean
  /** Options that the layer itself would ignore in a nested call. */
  readonly modes: TransactionModes | undefined
  /** The error by which the bridge refused a control command of the layer itself. */
  controlError: unknown
  isReleased = false
  readonly callSite: CallSite | undefined
  readonly signal: AbortSignal | undefined
  readonly #checkout: Checkout | undefined

  /** `checkout` is missing where the connection is that of a transaction or lease around. */
  constructor(
    connection: Connection,
    parent: Frame | undefined,
    joins: boolean,
    options: LeaseOptions,
    checkout?: Checkout,
  ) {
    this.connection = connection
    this.parent = parent
    this.joins = joins
    this.kind = options.kind ?? 'plain'
    this.layer = options.layer
    this.scope = options.scope
    this.modes = options.modes
    this.callSite = options.callSite
    this.signal = options.signal
    this.#checkout = checkout
  }

  /** The frame that it has opened. */
  get opened(): Frame | undefined {
    return this.transaction?.role === 'owner' ? this.transaction.frame : undefined
  }

  /** The frame of others that its block has joined. */
  get joined(): Frame | undefined {
    return this.transaction?.role === 'participant' ? this.transaction.frame : undefined
  }

  /** The function that returns the client when the transaction ends; `undefined` if it is used longer. */
  get releaseAtEnd(): (() => Promise<void> | undefined) | undefined {
    const checkout = this.#checkout
    return checkout === undefined || this.kind === 'plain' ? undefined : () => checkout.release()
  }

  /** The frame that a statement through this lease belongs to; `undefined` outside a transaction. */
  get frame(): Frame | undefined {
    const own = this.transaction === undefined ? this.parent : this.transaction.frame
    // Another lease on the same connection may have opened one: the server knows only one.
    return own !== undefined || this.isReleased ? own : this.connection.stack.root
  }

  /**
   * Returns the connection. A transaction that is still open on it is rolled back: a client of the user is
   * closed for that. A connection that belongs to a transaction around stays with it. Returns a promise
   * if an answer of the server is needed.
   */
  release(discard?: boolean): Promise<void> | undefined {
    if (this.isReleased) return undefined
    this.isReleased = true
    const { transaction } = this
    const isOver =
      transaction === undefined ||
      transaction.role === 'participant' ||
      (transaction.frame.ended && transaction.frame.phase !== 'lost')
    if (isOver && this.closing === undefined) return this.#checkout?.release(discard)
    return this.#leave(discard)
  }

  async #leave(discard?: boolean): Promise<void> {
    // A manual COMMIT that nobody awaits is on its way.
    if (this.closing !== undefined) await this.closing
    const { opened, connection } = this
    const isOpen = opened !== undefined && !opened.ended
    if (isOpen && this.kind === 'plain' && this.#checkout !== undefined) {
      void this.#checkout.release(true)
      connection.onError(new Error('the client was released while its transaction was open'))
    }
    if (opened !== undefined && (opened.phase === 'lost' || (isOpen && this.kind === 'block'))) {
      await connection.transactions.rollback(opened, this.layer)
    }
    await this.#checkout?.release(discard)
  }
}
