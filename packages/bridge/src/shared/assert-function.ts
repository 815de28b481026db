import { InvalidArgumentError } from '../errors.ts'
import { kindOf } from '../wording.ts'

/** Throws unless a method was given its callback. `method` is what the user has called. */
export function assertFunction(value: unknown, method: string): void {
  if (typeof value === 'function') return
  throw new InvalidArgumentError(`${method} was given ${kindOf(value)}; give it a function`)
}
