/** A frame, as far as nesting goes. */
export interface Nested<F> {
  readonly parent: F | undefined
  readonly root: F
}

/** A handle that a block has given, with the frame that it speaks for. */
export interface Held<F> {
  readonly frame: F
}

/** Where a piece of a program stands: its frame, and the handles that it may use. */
export class Place<F extends Nested<F>, H extends Held<F>> {
  /** The frame of what is sent through global objects; nothing outside a transaction. */
  readonly ambient: F | undefined
  readonly #handles: readonly H[]
  /** Whether other branches work in the same frame at the same time. */
  readonly isCrowded: boolean

  constructor(ambient?: F, handles: readonly H[] = [], isCrowded = false) {
    this.ambient = ambient
    this.#handles = handles
    this.isCrowded = isCrowded
  }

  /** The handle so many blocks up; nothing where there is none. */
  handle(up: number): H | undefined {
    return this.#handles[up % this.#handles.length]
  }

  /** The frame of what is sent here: that of its handle, unless the code stands inside that. */
  frameOf(handle: H | undefined): F | undefined {
    const { ambient } = this
    if (handle === undefined) return ambient
    return ambient !== undefined && isInside(ambient, handle.frame) ? ambient : handle.frame
  }

  /** Inside a block that works in `frame`, with the handle that it has given. */
  inside(frame: F, handle: H): Place<F, H> {
    const left = frame.root === this.ambient?.root ? this.#handles : this.#afterLeaving()
    return new Place(frame, [handle, ...left])
  }

  /** Inside a block that has joined: the frame is the same, and who else works in it. */
  joined(frame: F, handle: H): Place<F, H> {
    const place = this.inside(frame, handle)
    return new Place(frame, place.#handles, this.isCrowded)
  }

  /** Inside a block without a transaction. */
  outside(): Place<F, H> {
    return new Place<F, H>(undefined, this.#afterLeaving())
  }

  /** In one of several branches. */
  branch(): Place<F, H> {
    const own = this.#handles.filter(({ frame }) => frame.root === this.ambient?.root)
    return new Place(this.ambient, own, true)
  }

  /**
   * Of the transaction that is left only the innermost handle can still be used: a statement of
   * another would wait for the block that stands here. With others at work that one could, too.
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
