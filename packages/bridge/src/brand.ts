import { types } from 'node:util'

/** Makes `instanceof` hold for instances of the same class in another copy of the package. */
export function brand(by: { readonly prototype: object }, name: string): void {
  const key = Symbol.for(`shared-connection.${name}`)
  Object.defineProperty(by.prototype, key, { value: true })
  Object.defineProperty(by, Symbol.hasInstance, {
    value(this: object, value: unknown): boolean {
      // A subclass inherits this method, but its own instances alone are instances of it.
      if (this !== by) return Function.prototype[Symbol.hasInstance].call(this as never, value)
      return typeof value === 'object' && value !== null && key in value
    },
  })
}

/** Whether a value is an error of any realm. A test runner may run each file in a realm of its own. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value)
}
