import { types } from 'node:util'

/** Lets `instanceof` hold for what another copy of the package has made of its class of that name. */
export function brand(by: { readonly prototype: object }, name: string): void {
  const key = Symbol.for(`shared-connection.${name}`)
  Object.defineProperty(by.prototype, key, { value: true })
  Object.defineProperty(by, Symbol.hasInstance, {
    value(this: object, value: unknown): boolean {
      // a subclass inherits this, but is only what its own users make
      if (this !== by) return Function.prototype[Symbol.hasInstance].call(this as never, value)
      return typeof value === 'object' && value !== null && key in value
    },
  })
}

/** Whether a value is an error, of whichever realm: a test runner may give each file a realm of its own. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value)
}
