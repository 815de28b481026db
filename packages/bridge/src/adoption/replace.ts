/**
 * Gives an object methods of its own, in place of its prototype's. Returns a function that undoes it,
 * except for those that somebody else has replaced meanwhile.
 */
export function replace(target: object, methods: Record<string, unknown>): () => void {
  const before = new Map<string, PropertyDescriptor | undefined>()
  for (const [key, value] of Object.entries(methods)) {
    before.set(key, Object.getOwnPropertyDescriptor(target, key))
    Object.defineProperty(target, key, { value, configurable: true, writable: true })
  }
  return () => {
    for (const [key, descriptor] of before) {
      if (Object.getOwnPropertyDescriptor(target, key)?.value !== methods[key]) continue
      if (descriptor === undefined) Reflect.deleteProperty(target, key)
      else Object.defineProperty(target, key, descriptor)
    }
  }
}
