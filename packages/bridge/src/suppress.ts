import { isError } from './brand.ts'

/** Adds a failure of the cleanup to the error that caused the cleanup. */
export function suppress(error: unknown, failure: unknown): void {
  if (error === failure) return
  const known = (error as { suppressed?: unknown } | undefined)?.suppressed
  if (Array.isArray(known)) known.push(failure)
  else if (isError(error) && Object.isExtensible(error)) {
    Object.defineProperty(error, 'suppressed', { value: [failure], configurable: true })
  } else {
    // Only the name, since the message may contain parameters.
    const name = isError(failure) ? failure.name : typeof failure
    process.emitWarning(`an error of the cleanup could not be added to the first error: ${name}`)
  }
}
