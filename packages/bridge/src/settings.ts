import { InvalidArgumentError, OptionsConflictError, type HookError } from './errors.ts'
import { ISOLATION_LEVELS, type IsolationLevel } from './sql/control-command.ts'

/** The options of {@link shareConnection}. */
export interface SharedConnectionOptions {
  /** Labels the database in logs, events and errors. */
  readonly name?: string
  /**
   * What `transaction()` of a layer means while a transaction is open: a `savepoint` (default), or
   * to `join` what is open, where a failure dooms the whole. Nested calls on a handle
   * (`tx.transaction`) and Kysely's savepoints are always savepoints.
   */
  readonly nesting?: 'savepoint' | 'join'
  /**
   * Holds BEGIN, SAVEPOINT and RELEASE back to ride with the next statement, so that they cost no
   * round trip. Default `true`. `false` sends each at once.
   */
  readonly lazy?: boolean
  /** The server's default level, to compare nested requests with. Default `read committed`. */
  readonly defaultIsolationLevel?: IsolationLevel
  /**
   * How many milliseconds a statement or block waits for its turn while nothing goes on in the
   * transaction that is in its way. Default 30,000; 0 for ever.
   */
  readonly turnTimeout?: number
  /**
   * Takes the errors of hooks, which else reject the call that ended the transaction. Where it throws,
   * they do, and what it has thrown is in `suppressed` of what the call rejects with.
   */
  readonly onHookError?: (error: HookError) => void
}

/** The options with their defaults. */
export interface Settings {
  readonly name: string | undefined
  readonly nesting: 'savepoint' | 'join'
  readonly lazy: boolean
  readonly defaultIsolationLevel: IsolationLevel
  readonly turnTimeout: number
  onHookError: ((error: HookError) => void) | undefined
}

const CHECKS: { readonly [K in keyof Settings]: readonly [(value: unknown) => boolean, string] } = {
  name: [(value) => typeof value === 'string', 'a string'],
  nesting: [(value) => value === 'savepoint' || value === 'join', '"savepoint" or "join"'],
  lazy: [(value) => typeof value === 'boolean', 'true or false'],
  defaultIsolationLevel: [
    (value) => ISOLATION_LEVELS.some((level) => level === value),
    `one of ${ISOLATION_LEVELS.join(', ')}`,
  ],
  turnTimeout: [
    // the longest delay that timers take
    (value) => Number.isFinite(value) && Number(value) >= 0 && Number(value) < 2 ** 31,
    'a number of milliseconds from 0 to 2,147,483,647',
  ],
  onHookError: [(value) => typeof value === 'function', 'a function'],
}

/** Checks the options and fills in the defaults. */
export function settingsOf(options: SharedConnectionOptions): Settings {
  if (options === null || typeof options !== 'object') {
    throw new InvalidArgumentError(
      `the options were ${typeof options === 'object' ? 'null' : `a ${typeof options}`}; give an object, or nothing`,
    )
  }
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    const check = Object.hasOwn(CHECKS, key) ? CHECKS[key as keyof Settings] : undefined
    if (check === undefined) {
      throw new InvalidArgumentError(
        `there is no option ${JSON.stringify(key)}; the options are ${Object.keys(CHECKS).join(', ')}`,
      )
    }
    const [isValid, wanted] = check
    if (!isValid(value)) {
      throw new InvalidArgumentError(`the option ${key} was ${inWords(value)}; give ${wanted}`)
    }
  }
  return {
    name: options.name,
    nesting: options.nesting ?? 'savepoint',
    lazy: options.lazy ?? true,
    defaultIsolationLevel: options.defaultIsolationLevel ?? 'read committed',
    turnTimeout: options.turnTimeout ?? 30_000,
    onHookError: options.onHookError,
  }
}

/** A wrong value. An object may hold secrets, and a function is long. */
function inWords(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  return value === null || typeof value !== 'object' ? String(value) : 'an object'
}

/** Refuses options that differ from those that the pool was adopted with; those left out do not count, nor do functions. */
export function assertSameSettings(settings: Settings, options: SharedConnectionOptions): void {
  const asked = settingsOf(options)
  const differing = (Object.keys(settings) as (keyof Settings)[]).filter(
    (key) =>
      // a function that is written in place is another one each time: the newest counts
      typeof asked[key] !== 'function' &&
      options[key] !== undefined &&
      asked[key] !== settings[key],
  )
  if (differing.length === 0) return
  const list = differing.map(
    (key) => `${key} (was ${String(settings[key])}, now ${String(asked[key])})`,
  )
  throw new OptionsConflictError(
    `this pool is shared already, with other options: ${list.join(', ')}. Give the options once, or the same ones`,
  )
}
