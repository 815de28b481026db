import type { TransactionModes } from '../sql/control-command.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import type { Link } from '../transaction/scope.ts'
import type { Connection } from './connection.ts'
import type { Loan } from './source.ts'

/** What a lease is for. */
export type LeaseKind =
  /** One call of a callback API: its `begin` opens a scoped frame, and only it may end that. */
  | 'block'
  /** A Kysely controlled transaction: the client goes back when it ends. */
  | 'controlled'
  /** A client in somebody's hands, who gives it back. */
  | 'plain'

/**
 * One borrowing of a connection. It is what a handle (`tx`, `trx`, a client) speaks through, so it
 * tells whose statement is whose, and it can be used until it is given back.
 */
export class Lease {
  readonly kind: LeaseKind
  readonly layer: Layer
  readonly connection: Connection
  /** The frame in which it was borrowed, on that frame's connection. */
  readonly parent: Frame | undefined
  /** The link of the block that it serves. */
  readonly link: Link | undefined
  /** How far the block is: its layer's own control statements come before and after the body. */
  phase: 'opening' | 'body' | 'closing' = 'opening'
  /** The frame that was opened on it. */
  opened: Frame | undefined
  /** The frame that its block has joined instead of opening one. */
  joined: Frame | undefined
  /** Whether its block works in the frame that is open, instead of opening one. */
  joins: boolean
  /** Options that the layer itself would ignore in a nested call. */
  modes: TransactionModes | undefined
  /** What the bridge refused one of the layer's own control statements with. */
  refusal: unknown
  isReleased = false
  readonly #loan: Loan | undefined

  constructor(
    kind: LeaseKind,
    layer: Layer,
    connection: Connection,
    parent: Frame | undefined,
    link: Link | undefined,
    joins: boolean,
    loan: Loan | undefined,
  ) {
    this.kind = kind
    this.layer = layer
    this.connection = connection
    this.parent = parent
    this.link = link
    this.joins = joins
    this.#loan = loan
    if (loan !== undefined && kind !== 'plain') {
      connection.transactions.giveBack = () => loan.giveBack()
    }
  }

  /** The frame that a statement through this lease belongs to; nothing outside a transaction. */
  get frame(): Frame | undefined {
    return this.joined ?? this.opened ?? this.parent
  }

  /**
   * Gives the connection back. What is still open on it is rolled back: in somebody's hands by
   * closing it, in a block because its layer has left it. Inside a transaction the connection stays
   * with that.
   */
  async release(discard?: boolean): Promise<void> {
    if (this.isReleased) return
    this.isReleased = true
    const { opened, connection } = this
    const isOpen = opened !== undefined && !opened.ended
    if (isOpen && this.kind === 'plain' && this.#loan !== undefined) {
      this.#loan.giveBack(true)
      connection.onError(new Error('the client was released while its transaction was open'))
    }
    if (opened !== undefined && (opened.state === 'lost' || (isOpen && this.kind === 'block'))) {
      await connection.transactions.undo(opened, this.layer)
    }
    this.#loan?.giveBack(discard)
  }
}
