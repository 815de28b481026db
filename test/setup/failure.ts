/** Returns the error that a promise rejects with, without Drizzle's wrapper of errors of statements. */
export async function failureOf(promise: Promise<unknown> | PromiseLike<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    const { name, cause } = error as Error
    const isWrapped =
      name === 'DrizzleQueryError' || error?.constructor.name === 'DrizzleQueryError'
    return (isWrapped && cause instanceof Error ? cause : error) as Error
  }
  throw new Error('expected it to reject, but it has resolved')
}
