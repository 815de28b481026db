import { InvalidArgumentError } from '../errors.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import { checkModes } from '../transaction/modes.ts'
import { inWords } from '../wording.ts'
import { type RetryOptions, retryOf } from './retry.ts'

const PROPAGATIONS = [
  'nested',
  'required',
  'requires-new',
  'mandatory',
  'supports',
  'not-supported',
  'never',
] as const

/**
 * How a block of `shared.transaction()` relates to the transaction around it, with the names of Spring.
 * {@link TransactionOptions} and {@link MaybeOptions} explain each.
 */
export type Propagation = (typeof PROPAGATIONS)[number]

/** The options of `shared.transaction()` for a block that always has a transaction. */
export interface TransactionOptions extends TransactionModes {
  /**
   * | | inside a transaction | outside |
   * |---|---|---|
   * | `nested` (default) | SAVEPOINT … RELEASE | BEGIN … COMMIT |
   * | `required` | joins it; a failure makes it rollback-only | BEGIN … COMMIT |
   * | `requires-new` | BEGIN … COMMIT on another connection | BEGIN … COMMIT |
   * | `mandatory` | joins it; a failure makes it rollback-only | `PropagationError` |
   *
   * Source: https://docs.spring.io/spring-framework/reference/data-access/transaction/declarative/tx-propagation.html
   */
  readonly propagation?: 'nested' | 'required' | 'requires-new' | 'mandatory'
  /**
   * Ends the block when it is aborted: waits are abandoned, the running statement is cancelled on the
   * server (CancelRequest), ROLLBACK is sent, and the call rejects with the signal's reason. The callback
   * cannot be stopped, but its further statements are refused. If the block has joined a transaction,
   * that becomes rollback-only. If COMMIT is quicker, it stands and the call resolves. Default: none.
   */
  readonly signal?: AbortSignal
  /**
   * Ends the block in the same way after so many milliseconds, all repetitions and waits included. The
   * call then rejects with {@link TransactionTimeoutError}. Default: none.
   */
  readonly timeout?: number
  /**
   * Repeats the block after a serialization failure (40001) or a deadlock (40P01): ROLLBACK, a random
   * pause, and BEGIN, with new hooks. A number is the maximum of repetitions; {@link RetryOptions}
   * also sets the pauses. Only the outermost block can be repeated, and never after it has committed or
   * its outcome is unknown. Default: no repetitions.
   */
  readonly retry?: number | RetryOptions
}

/** The options of `shared.transaction()` for a block that may have no transaction. */
export interface MaybeOptions {
  /**
   * | | inside a transaction | outside |
   * |---|---|---|
   * | `supports` | joins it; a failure makes it rollback-only | no transaction |
   * | `not-supported` | leaves it while the block runs | no transaction |
   * | `never` | `PropagationError` | no transaction |
   */
  readonly propagation: 'supports' | 'not-supported' | 'never'
}

/** The options of `shared.transaction()` for a propagation. One type, so that a misspelt option is one error. */
export type TransactionOptionsFor<P extends Propagation> = {
  /** See {@link TransactionOptions} and {@link MaybeOptions}. */
  readonly propagation?: P
} & (P extends MaybeOptions['propagation'] ? MaybeOptions : TransactionOptions)

/** The checked options. */
export interface CheckedOptions {
  readonly propagation: Propagation
  readonly modes: TransactionModes
  readonly signal: AbortSignal | undefined
  readonly timeout: number | undefined
  readonly retry: ReturnType<typeof retryOf> | undefined
}

/** Checks the options of `shared.transaction()` and fills in the defaults. */
export function optionsOf(options: TransactionOptions | MaybeOptions | undefined): CheckedOptions {
  if (options === undefined) return NONE
  if (options === null || typeof options !== 'object') {
    throw new InvalidArgumentError(
      `the options of shared.transaction() were ${inWords(options)}; give an object, or leave them out`,
    )
  }
  const {
    propagation = 'nested',
    isolationLevel,
    accessMode,
    deferrable,
    signal,
    timeout,
    retry,
    ...rest
  } = options as TransactionOptions
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `shared.transaction() has no option ${inWords(unknown)}; its options are propagation, isolationLevel, accessMode, deferrable, signal, timeout and retry`,
    )
  }
  const modes: TransactionModes = definedOf({ isolationLevel, accessMode, deferrable })
  checkModes(modes)
  checkLimits(signal, timeout)
  const known = checked(propagation)
  if (MAYBE.has(known)) assertNone(known, { ...modes, signal, timeout, retry })
  return {
    propagation: known,
    modes,
    signal,
    timeout,
    retry: retry === undefined ? undefined : retryOf(retry),
  }
}

/** Refuses options that need a transaction where there may be none. */
function assertNone(propagation: Propagation, options: object): void {
  const given = Object.keys(definedOf(options))
  if (given.length === 0) return
  throw new InvalidArgumentError(
    `propagation "${propagation}" may run without a transaction, which these options require: ${given.join(', ')}. Leave them out`,
  )
}

function checkLimits(signal: unknown, timeout: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError(`signal was ${inWords(signal)}; give an AbortSignal`)
  }
  // Timers do not support longer delays.
  const isTime = typeof timeout === 'number' && timeout > 0 && timeout < 2 ** 31
  if (timeout !== undefined && !isTime) {
    throw new InvalidArgumentError(
      `timeout was ${inWords(timeout)}; give a number of milliseconds from 1 to 2,147,483,647`,
    )
  }
}

const NONE: CheckedOptions = {
  propagation: 'nested',
  modes: {},
  signal: undefined,
  timeout: undefined,
  retry: undefined,
}

const MAYBE: ReadonlySet<Propagation> = new Set(['supports', 'not-supported', 'never'])

function definedOf<T extends object>(values: { [K in keyof T]: T[K] | undefined }): Partial<T> {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined) as Partial<T>
}

function checked(propagation: unknown): Propagation {
  const known = PROPAGATIONS.find((name) => name === propagation)
  if (known !== undefined) return known
  throw new InvalidArgumentError(
    `propagation was ${inWords(propagation)}; give one of ${PROPAGATIONS.join(', ')}`,
  )
}
