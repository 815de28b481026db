/** How promises have settled, in a word each. */
export async function outcomes(promises: readonly unknown[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map((result) =>
    result.status === 'fulfilled' ? 'kept' : (result.reason as Error).message,
  )
}

/** What a promise has come to: its value, or the name of its error and of that one's cause. */
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

/** What promises have come to, in their order. */
export function fatesOf(promises: readonly PromiseLike<unknown>[]): Promise<string[]> {
  return Promise.all(promises.map(fateOf))
}
