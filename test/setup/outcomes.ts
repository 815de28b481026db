/** The results of promises: 'fulfilled', or the message of the error. */
export async function outcomes(promises: readonly unknown[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map((result) =>
    result.status === 'fulfilled' ? 'fulfilled' : (result.reason as Error).message,
  )
}

/** The result of a promise: 'done', or the name and the code of the error inside Drizzle's wrapper. */
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

/** The results of promises, in their order. */
export function fatesOf(promises: readonly PromiseLike<unknown>[]): Promise<string[]> {
  return Promise.all(promises.map(fateOf))
}
