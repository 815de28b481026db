import { InvalidArgumentError, kindOf } from '../errors.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import { checkModes } from '../transaction/modes.ts'
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

/** What a block does with the transaction around it, in the meaning of Spring. */
export type Propagation = (typeof PROPAGATIONS)[number]

/** The options of `shared.transaction()` that always give a transaction. */
export interface TransactionOptions extends TransactionModes {
  /**
   * | | inside a transaction | outside |
   * |---|---|---|
   * | `nested` (default) | SAVEPOINT … RELEASE | BEGIN … COMMIT |
   * | `required` | works in it; a failure dooms it | BEGIN … COMMIT |
   * | `requires-new` | BEGIN … COMMIT on a connection of its own | BEGIN … COMMIT |
   * | `mandatory` | works in it; a failure dooms it | `PropagationError` |
   *
   * Source: https://docs.spring.io/spring-framework/reference/data-access/transaction/declarative/tx-propagation.html
   */
  readonly propagation?: 'nested' | 'required' | 'requires-new' | 'mandatory'
  /**
   * Ends the block from outside: what it waits for is given up, what runs is cancelled on the server
   * (CancelRequest), ROLLBACK, and the call rejects with the signal's reason. Its callback can not be
   * stopped, but sends nothing any more. In a block that has joined a transaction it dooms that. A
   * COMMIT that is quicker stays a COMMIT.
   */
  readonly signal?: AbortSignal
  /**
   * The same after so many milliseconds, all repetitions and waits included, with
   * {@link TransactionTimeoutError}. Default: none.
   */
  readonly timeout?: number
  /**
   * Does the block again after a serialization failure (40001) or a deadlock (40P01): ROLLBACK, a
   * pause, BEGIN on another client, with fresh hooks. So many times more, or {@link RetryOptions}.
   * Only for the outermost block, since only the whole transaction can be done again; never once it
   * has committed or its outcome is unknown. Default: never.
   */
  readonly retry?: number | RetryOptions
}

/** The options of `shared.transaction()` that may give none. */
export interface MaybeOptions {
  /**
   * | | inside a transaction | outside |
   * |---|---|---|
   * | `supports` | works in it; a failure dooms it | works without one |
   * | `not-supported` | works outside it | works without one |
   * | `never` | `PropagationError` | works without one |
   */
  readonly propagation: 'supports' | 'not-supported' | 'never'
}

/** The options, checked. */
export interface CheckedOptions {
  readonly propagation: Propagation
  readonly modes: TransactionModes
  readonly signal: AbortSignal | undefined
  readonly timeout: number | undefined
  readonly retry: ReturnType<typeof retryOf> | undefined
}

/** Checks the options of `shared.transaction()`, and fills in the defaults. */
export function optionsOf(options: TransactionOptions | MaybeOptions | undefined): CheckedOptions {
  if (options === undefined) return NONE
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
      `there is no option ${JSON.stringify(unknown)}; the options are propagation, isolationLevel, accessMode, deferrable, signal, timeout and retry`,
    )
  }
  const modes: TransactionModes = definedOf({ isolationLevel, accessMode, deferrable })
  checkModes(modes)
  checkLimits(signal, timeout)
  const known = checked(propagation)
  if (MAYBE.has(known) && (signal ?? timeout ?? retry) !== undefined) {
    throw new InvalidArgumentError(
      `signal, timeout and retry are about a transaction, and propagation "${known}" may give none`,
    )
  }
  return {
    propagation: known,
    modes,
    signal,
    timeout,
    retry: retry === undefined ? undefined : retryOf(retry),
  }
}

function checkLimits(signal: unknown, timeout: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError(`signal was ${kindOf(signal)}; give an AbortSignal`)
  }
  // Timers take no longer delay.
  const isTime = typeof timeout === 'number' && timeout > 0 && timeout < 2 ** 31
  if (timeout !== undefined && !isTime) {
    throw new InvalidArgumentError(
      `timeout was ${kindOf(timeout)}; give a number of milliseconds from 1 to 2,147,483,647`,
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
    `propagation was ${JSON.stringify(propagation)}; give one of ${PROPAGATIONS.join(', ')}`,
  )
}
