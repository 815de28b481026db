/** A frame, as far as nesting matters. */
export interface Nested<F> {
  readonly parent: F | undefined
  readonly root: F
}

/** A handle of a block, with its frame. */
export interface Held<F> {
  readonly frame: F
}

/** The place of a piece of a program: its frame, and the handles that it may use. */
export class Place<F extends Nested<F>, H extends Held<F>> {
  /** The frame of statements through global objects; undefined outside a transaction. */
  readonly ambient: F | undefined
  readonly #handles: readonly H[]
  /** Whether parallel branches work in the same frame. */
  readonly isCrowded: boolean

  constructor(ambient?: F, handles: readonly H[] = [], isCrowded = false) {
    this.ambient = ambient
    this.#handles = handles
    this.isCrowded = isCrowded
  }

  /** The handle so many blocks up; undefined if there is none. */
  handle(up: number): H | undefined {
    return this.#handles[up % this.#handles.length]
  }

  /** The frame of a statement: that of its handle, or the innermost one if the code is inside that. */
  frameOf(handle: H | undefined): F | undefined {
    const { ambient } = this
    if (handle === undefined) return ambient
    return ambient !== undefined && isInside(ambient, handle.frame) ? ambient : handle.frame
  }

  /** The place inside a block that works in `frame`, with its handle. */
  inside(frame: F, handle: H): Place<F, H> {
    const left = frame.root === this.ambient?.root ? this.#handles : this.#afterLeaving()
    return new Place(frame, [handle, ...left])
  }

  /** The place inside a joined block, which shares the frame and its branches. */
  joined(frame: F, handle: H): Place<F, H> {
    const place = this.inside(frame, handle)
    return new Place(frame, place.#handles, this.isCrowded)
  }

  /** The place inside a block without a transaction. */
  outside(): Place<F, H> {
    return new Place<F, H>(undefined, this.#afterLeaving())
  }

  /** The place in one of several branches. */
  branch(): Place<F, H> {
    const own = this.#handles.filter(({ frame }) => frame.root === this.ambient?.root)
    return new Place(this.ambient, own, true)
  }

  /**
   * Only the innermost handle of the transaction that is left can still be used: a statement of another
   * handle would wait for the block around this code. With parallel branches, even the innermost could wait.
   */
  #afterLeaving(): readonly H[] {
    const { ambient } = this
    if (this.isCrowded) return []
    return this.#handles.filter(({ frame }) => frame === ambient || frame.root !== ambient?.root)
  }
}

function isInside<F extends Nested<F>>(frame: F, outer: F): boolean {
  for (let at: F | undefined = frame; at !== undefined; at = at.parent) {
    if (at === outer) return true
  }
  return false
}
