/**
 * Settles as `work` does, unless `signal` is aborted and `cancel` returns true, which means that it has
 * stopped the work in time. Then it rejects with the reason of `signal`.
 */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  cancel: (reason: unknown) => Promise<boolean>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isAborted = false
    const onAbort = (): void => {
      isAborted = true
      void cancel(signal.reason).then((inTime) => {
        if (inTime) reject(signal.reason)
        else work.then(resolve, reject)
      })
    }
    const settle = (end: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      if (!isAborted) end()
    }
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
