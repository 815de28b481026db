import { isError } from '../brand.ts'

/**
 * Rejects with an error whose stack, as in pg, leads to the caller instead of the socket. Waits for
 * `first`.
 */
export async function rejectWithCallerStack(
  failure: unknown,
  first?: Promise<void>,
): Promise<never> {
  await first
  // V8 finds the caller by who awaits this promise, which is known one turn later.
  await Promise.resolve()
  if (isError(failure)) Error.captureStackTrace(failure)
  throw failure
}
