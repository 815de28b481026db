/**
 * A node of the chain of scopes around a piece of code. Each node concerns one database.
 *
 * The chain is immutable, except that the `begin` of the block that made a node sets its `frame`
 * once. So parallel branches never see each other's frames.
 */
export class ScopeNode<F> {
  readonly parent: ScopeNode<F> | undefined
  /** The database that this node concerns. Only its identity matters. */
  readonly database: object
  /**
   * `outside`: its code has left the transactions around it. `request`: its code acts for the request
   * `handle`. `client`: its code has the physical client of the connection `handle`.
   */
  readonly kind: 'block' | 'outside' | 'request' | 'client'
  /** The request or the connection of a `request` or `client` node. */
  readonly handle: object | undefined
  /** The frame that the code in this block belongs to. */
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
