import type { Loan } from './source.ts'

/**
 * The result of `work`, or else the reason of `signal`, once that is aborted and `cancel` has been in
 * time to stop the work.
 */
export async function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  cancel: (reason: unknown) => Promise<boolean>,
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => {
    void cancel(signal.reason).then((inTime) => {
      if (inTime) reject(signal.reason)
    })
  }
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Gives a client that comes for nobody any more to the next who waits. */
export function leaveToTheNext(borrowing: Promise<Loan>): Promise<boolean> {
  const left = borrowing.then((loan) => loan.giveBack())
  // that none came is nobody's loss
  left.catch(() => undefined)
  return Promise.resolve(true)
}
