import { setImmediate, setTimeout } from 'node:timers/promises'
import { HookError, InvalidArgumentError, suppress } from '../errors.ts'
import type { Frame } from '../transaction/frame.ts'

/** How a transaction is done again after a serialization failure or a deadlock. */
export interface RetryOptions {
  /** How many times more at most. Default 5. */
  readonly limit?: number
  /** The longest first pause in milliseconds. It doubles each time, and the pause is a random part of it. Default 20. */
  readonly delay?: number
  /** The longest pause in milliseconds. Default 1,000. */
  readonly maxDelay?: number
  /** Called before each repetition, outside the transaction, with the error and the number of the repetition. It is awaited. */
  readonly onRetry?: (error: unknown, repetition: number) => unknown
}

type Retry = Required<Omit<RetryOptions, 'onRetry'>> & Pick<RetryOptions, 'onRetry'>

const NUMBERS = { limit: 5, delay: 20, maxDelay: 1_000 }

/** Checks what was given for `retry`, and fills in the defaults. */
export function retryOf(given: number | RetryOptions): Retry {
  const options = typeof given === 'number' ? { limit: given } : given
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidArgumentError(
      `retry was ${typeof given}; give a number of repetitions, or { limit, delay, maxDelay, onRetry }`,
    )
  }
  for (const [key, value] of Object.entries(options)) {
    if (key === 'onRetry' && (value === undefined || typeof value === 'function')) continue
    const isNumber = typeof value === 'number' && value >= 0 && value < 2 ** 31
    if (Object.hasOwn(NUMBERS, key) && (value === undefined || isNumber)) continue
    throw new InvalidArgumentError(
      `retry.${key} was ${String(value)}; give limit, delay and maxDelay as numbers from 0 (the latter two in milliseconds), and onRetry as a function`,
    )
  }
  const { limit = NUMBERS.limit, delay = NUMBERS.delay, maxDelay = NUMBERS.maxDelay } = options
  return { limit, delay, maxDelay, ...(options.onRetry && { onRetry: options.onRetry }) }
}

/** One try of a transaction. It tells the frame that it has opened. */
type Attempt<T> = (onOpen: (frame: Frame | undefined) => void) => Promise<T>

/**
 * Does a transaction again while the server says that this may help, with fresh frames and hooks
 * each time. What has committed, or may have, is never done again.
 *
 * Source: https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
 */
export async function retrying<T>(
  { limit, delay, maxDelay, onRetry }: Retry,
  signal: AbortSignal | undefined,
  attempt: Attempt<T>,
): Promise<T> {
  for (let repetition = 1; ; repetition++) {
    let frame: Frame | undefined
    try {
      return await attempt((opened) => {
        frame = opened
      })
    } catch (error) {
      const isRolledBack = frame?.state === 'rolled-back'
      if (!isRolledBack || repetition > limit || !isConflict(error)) throw error
      signal?.throwIfAborted()
      await tell(onRetry, error, repetition)
      // "full jitter": those that met once are not to meet again
      const longest = Math.min(maxDelay, delay * 2 ** Math.min(repetition - 1, 30))
      await pause(Math.random() * longest, signal)
    }
  }
}

/** Whether the server has refused to serialize the transaction, or broken a deadlock with it. */
function isConflict(error: unknown): boolean {
  const seen = new Set<unknown>()
  // what hooks did is no matter of the transaction
  for (let at = error; at instanceof Error && !(at instanceof HookError); at = at.cause) {
    if (seen.has(at)) return false
    seen.add(at)
    const { code } = at as { code?: unknown }
    if (code === '40001' || code === '40P01') return true
  }
  return false
}

/** The conflict stays the error that matters, whatever who is told of it throws. */
async function tell(
  onRetry: RetryOptions['onRetry'],
  error: unknown,
  repetition: number,
): Promise<void> {
  try {
    await onRetry?.(error, repetition)
  } catch (failure) {
    suppress(error, failure)
    throw error
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    // A timer takes a millisecond at least, and more on a busy machine.
    if (milliseconds === 0) await setImmediate(undefined, signal && { signal })
    else await setTimeout(milliseconds, undefined, signal && { signal })
  } catch {
    throw signal?.reason
  }
}
