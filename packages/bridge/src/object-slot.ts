/** What is kept with objects that others have made. */
export interface ObjectSlot<T> {
  get(object: unknown): T | undefined
  set(object: object, value: T): void
}

/** Its subclasses add their private fields to the object that they are given, instead of to a new one. */
const Given = function (object: object): object {
  return object
} as unknown as new (object: object) => object

/**
 * Keeps values with objects as a `WeakMap` does, in private fields of theirs. What is put into a
 * `WeakMap` that is no longer young stays until the next full collection of garbage.
 */
export function objectSlot<T>(): ObjectSlot<T> {
  class Attached extends Given {
    #value: T

    constructor(object: object, value: T) {
      super(object)
      this.#value = value
    }

    static get(object: unknown): T | undefined {
      const isObject = typeof object === 'object' && object !== null
      return isObject && #value in object ? object.#value : undefined
    }

    static set(object: object, value: T): void {
      if (#value in object) object.#value = value
      else void new Attached(object, value)
    }
  }
  return Attached
}
