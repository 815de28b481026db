/** Associates values with objects that other code has made. */
export interface ObjectSlot<T> {
  get(object: unknown): T | undefined
  set(object: object, value: T): void
}

/** A base class whose constructor returns its argument, so subclasses add private fields to that object. */
const ReturnsObject = function (object: object): object {
  return object
} as unknown as new (object: object) => object

/**
 * Makes a slot that works as a `WeakMap` does, but stores each value in a private field of its object.
 * An entry of a `WeakMap` in old space would survive until the next full garbage collection.
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
