/**
 * Rejects with an error that has, as pg gives it, a trace which leads to the caller instead of the
 * socket: once `first` has come, if that is to come before.
 */
export async function rejectWithCallerStack(
  failure: unknown,
  first?: Promise<void>,
): Promise<never> {
  await first
  // by the next turn it is known who waits for this promise, and V8 follows those
  await Promise.resolve()
  if (failure instanceof Error) Error.captureStackTrace(failure)
  throw failure
}
