/** How promises have settled: 'fulfilled', or the message of the error. */
export async function outcomes(promises: readonly unknown[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map((result) =>
    result.status === 'fulfilled' ? 'fulfilled' : (result.reason as Error).message,
  )
}

/** How a promise has settled: 'done', or the name and the code of the error, behind Drizzle's wrapper. */
export async function fateOf(promise: PromiseLike<unknown>): Promise<string> {
  try {
    await promise
    return 'done'
  } catch (reason) {
    const wrapped = reason as Error & { code?: string }
    const isDrizzle = /DrizzleQueryError/.test(`${wrapped.name} ${wrapped.constructor.name}`)
    const error = (isDrizzle ? wrapped.cause : wrapped) as Error & { code?: string }
    return [error.name, error.code].filter(Boolean).join(' ')
  }
}

/** How promises have settled, in their order. */
export function fatesOf(promises: readonly PromiseLike<unknown>[]): Promise<string[]> {
  return Promise.all(promises.map(fateOf))
}
