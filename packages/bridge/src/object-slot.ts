/** A value that the bridge keeps with objects which it has not made. */
export interface ObjectSlot<T> {
  get(object: unknown): T | undefined
  set(object: object, value: T): void
}

/** Its subclasses add their private fields to the object that they are given, instead of to a new one. */
const ReturnsObject = function (object: object): object {
  return object
} as unknown as new (object: object) => object

/**
 * Keeps values with objects as a `WeakMap` does, but in private fields of the objects. A value in a
 * `WeakMap` that has reached old space stays until the next full collection of garbage.
 */
export function objectSlot<T>(): ObjectSlot<T> {
  class Slot extends ReturnsObject {
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
      else void new Slot(object, value)
    }
  }
  return Slot
}
