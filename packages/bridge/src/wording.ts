/** The longest text that is printed. A longer one is hardly a name that was misspelt. */
const LONGEST = 60

/**
 * Names the kind of a value where an object or a function was expected. Prints no content: a text may be a
 * connection string, and an object may hold a password.
 */
export function kindOf(value: unknown): string {
  if (typeof value === 'string') return 'a string'
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  const name = nameOfClass(value)
  return name === undefined ? 'an object' : `${/^[aeio]/i.test(name) ? 'an' : 'a'} ${name}`
}

/** Prints a value where a name, a number or a flag was expected. Of anything else it names the kind. */
export function inWords(value: unknown): string {
  if (typeof value !== 'string' || value.length > LONGEST) return kindOf(value)
  return JSON.stringify(value)
}

/** A number of things with its verb: `1 connection is`, `2 connections are`. */
export function countOf(count: number, noun: string): string {
  return count === 1 ? `1 ${noun} is` : `${count} ${noun}s are`
}

/** The name of the class of an object; nothing for plain objects, whose class says nothing. */
function nameOfClass(value: object): string | undefined {
  const { constructor } = value as { constructor?: unknown }
  if (constructor === Object || typeof constructor !== 'function') return undefined
  return constructor.name === '' ? undefined : constructor.name
}
