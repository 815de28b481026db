import { setImmediate, setTimeout } from 'node:timers/promises'
import { HookError, InvalidArgumentError } from '../errors.ts'
import { isError } from '../brand.ts'
import { suppress } from '../suppress.ts'
import type { Frame } from '../transaction/frame.ts'
import { inWords } from '../wording.ts'

/** The options for retries after a serialization failure (40001) or a deadlock (40P01). */
export interface RetryOptions {
  /** The maximum number of repetitions after the first attempt. Default 5. */
  readonly limit?: number
  /**
   * The upper bound of the first pause, in milliseconds. It doubles with each repetition, and each
   * pause is a random part of it. Default 20.
   */
  readonly delay?: number
  /** The upper bound of all pauses, in milliseconds. Default 1,000. */
  readonly maxDelay?: number
  /**
   * Called and awaited before each repetition, outside the transaction, with the error and the number
   * of the repetition, from 1. If it throws, the call rejects with the error of the transaction, and the
   * thrown value is in its `suppressed`. Default: none.
   */
  readonly onRetry?: (error: unknown, repetition: number) => unknown
}

type Retry = Required<Omit<RetryOptions, 'onRetry'>> & Pick<RetryOptions, 'onRetry'>

const NUMBERS = { limit: 5, delay: 20, maxDelay: 1_000 }

/** Checks the option `retry` and fills in the defaults. */
export function retryOf(given: number | RetryOptions): Retry {
  const options = typeof given === 'number' ? { limit: given } : given
  const isNoAmount = typeof given === 'number' && !isAmount(given)
  if (isNoAmount || typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidArgumentError(
      `retry was ${inWords(given)}; give a number of repetitions from 0, or { limit, delay, maxDelay, onRetry }`,
    )
  }
  for (const [key, value] of Object.entries(options)) {
    if (key === 'onRetry' && (value === undefined || typeof value === 'function')) continue
    const isOption = Object.hasOwn(NUMBERS, key)
    if (isOption && (value === undefined || isAmount(value))) continue
    throw new InvalidArgumentError(
      isOption || key === 'onRetry'
        ? `retry.${key} was ${inWords(value)}; give ${isOption ? 'a number from 0 to 2,147,483,647' : 'a function'}`
        : `retry has no option ${inWords(key)}; its options are limit, delay, maxDelay and onRetry`,
    )
  }
  const { limit = NUMBERS.limit, delay = NUMBERS.delay, maxDelay = NUMBERS.maxDelay } = options
  return { limit, delay, maxDelay, ...(options.onRetry && { onRetry: options.onRetry }) }
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < 2 ** 31
}

/** One attempt at a transaction. It calls `onOpen` with the frame that it has opened. */
type Attempt<T> = (onOpen: (frame: Frame | undefined) => void) => Promise<T>

/**
 * Repeats a transaction after conflicts, with new frames and hooks each time. It never repeats a
 * transaction that has, or may have, committed.
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
      await callOnRetry(onRetry, error, repetition)
      // "Full jitter", so that transactions which have collided do not collide again.
      const longest = Math.min(maxDelay, delay * 2 ** Math.min(repetition - 1, 30))
      await pause(Math.random() * longest, signal)
    }
  }
}

/** Whether the error is a serialization failure or a deadlock of the transaction. */
function isConflict(error: unknown): boolean {
  const seen = new Set<unknown>()
  // Errors of hooks say nothing about the transaction.
  for (let at = error; isError(at) && !(at instanceof HookError); at = at.cause) {
    if (seen.has(at)) return false
    seen.add(at)
    const { code } = at as { code?: unknown }
    if (code === '40001' || code === '40P01') return true
  }
  return false
}

/** Calls `onRetry`. The conflict remains the error of the call, even if `onRetry` throws. */
async function callOnRetry(
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
    // A timer takes at least a millisecond, and more on a busy machine.
    if (milliseconds === 0) await setImmediate(undefined, signal && { signal })
    else await setTimeout(milliseconds, undefined, signal && { signal })
  } catch {
    throw signal?.reason
  }
}
