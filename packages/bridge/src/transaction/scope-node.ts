/**
 * One node of the chain that says where a piece of code stands, for one database.
 *
 * The chain is immutable but for one thing: `frame` is written once, by the `begin` of the block
 * that made the node. So parallel branches never see each other's frames.
 */
export class ScopeNode<F> {
  readonly parent: ScopeNode<F> | undefined
  /** The database that this node is about. Only its identity counts. */
  readonly database: object
  /** `outside`: code in it has left the transactions around it. `via`: code in it speaks for `handle`. */
  readonly kind: 'block' | 'outside' | 'via'
  /** Whoever the code under a `via` node speaks for. */
  readonly handle: object | undefined
  /** The frame that code in this block belongs to. */
  frame: F | undefined

  constructor(
    parent: ScopeNode<F> | undefined,
    database: object,
    kind: ScopeNode<F>['kind'],
    handle?: object,
    frame?: F,
  ) {
    this.parent = parent
    this.database = database
    this.kind = kind
    this.handle = handle
    this.frame = frame
  }
}
