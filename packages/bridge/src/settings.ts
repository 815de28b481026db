import { type HookError, InvalidArgumentError, OptionsConflictError } from './errors.ts'
import { ISOLATION_LEVELS, type IsolationLevel } from './sql/control-command.ts'
import { inWords } from './wording.ts'

/** The options of {@link shareConnection}. */
export interface SharedConnectionOptions {
  /** A label for the database in logs, events and errors. Default: none. */
  readonly name?: string
  /**
   * The effect of a layer's `transaction()` while a transaction is open. `savepoint` (default) sends
   * SAVEPOINT. `join` sends nothing: the block works in the open transaction, and if it fails, that
   * transaction becomes rollback-only. Nested calls on a handle (`tx.transaction`) and Kysely's
   * savepoints are always savepoints.
   */
  readonly nesting?: 'savepoint' | 'join'
  /**
   * Defers BEGIN, SAVEPOINT and RELEASE and piggybacks them on the next statement, so that they cost
   * no round trip, and pipelines statements that are issued together. With `false`, each is sent at once
   * and alone. Default `true`, except where `query()` of the clients is wrapped, for example by a tracer:
   * there each statement passes through the wrapper by a call of its own, one after the other. An
   * explicit `true` pipelines there, too.
   */
  readonly lazy?: boolean
  /**
   * The server's `default_transaction_isolation`. A nested block may only request the level of its
   * transaction, and this is that level if the transaction did not request one. Default
   * `read committed`.
   */
  readonly defaultIsolationLevel?: IsolationLevel
  /**
   * The longest wait of a statement or block for its turn, in milliseconds during which the
   * transaction that it waits for was idle. Then it rejects with {@link TurnTimeoutError}. Default
   * 30,000; 0 means no limit.
   */
  readonly turnTimeout?: number
  /**
   * Receives the errors of hooks, so that the call that ended the transaction does not reject with
   * them. If it throws, that call rejects as if there were no `onHookError`, and the thrown value is in
   * `suppressed` of its error. Default: none.
   */
  readonly onHookError?: (error: HookError) => void
}

/** The options, with defaults filled in. */
export interface Settings {
  readonly name: string | undefined
  readonly nesting: 'savepoint' | 'join'
  lazy: boolean | 'unless-wrapped'
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
    // Timers do not support longer delays.
    (value) => Number.isFinite(value) && Number(value) >= 0 && Number(value) < 2 ** 31,
    'a number of milliseconds from 0 to 2,147,483,647',
  ],
  onHookError: [(value) => typeof value === 'function', 'a function'],
}

/** Throws for an option that `method` does not have. It may have `more` than those here. */
export function assertKnownOptions(
  options: object,
  method: string,
  more: readonly string[] = [],
): void {
  const known = [...more, ...Object.keys(CHECKS)]
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || known.includes(key)) continue
    throw new InvalidArgumentError(
      `${method} has no option ${inWords(key)}; its options are ${known.join(', ')}`,
    )
  }
}

/** Checks the options and fills in the defaults. */
export function settingsOf(options: SharedConnectionOptions): Settings {
  if (options === null || typeof options !== 'object') {
    throw new InvalidArgumentError(
      `the options of shareConnection() were ${inWords(options)}; give an object, or leave them out`,
    )
  }
  assertKnownOptions(options, 'shareConnection()')
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    const [isValid, wanted] = CHECKS[key as keyof Settings]
    if (!isValid(value)) {
      throw new InvalidArgumentError(`the option ${key} was ${inWords(value)}; give ${wanted}`)
    }
  }
  return {
    name: options.name,
    nesting: options.nesting ?? 'savepoint',
    lazy: options.lazy ?? 'unless-wrapped',
    defaultIsolationLevel: options.defaultIsolationLevel ?? 'read committed',
    turnTimeout: options.turnTimeout ?? 30_000,
    onHookError: options.onHookError,
  }
}

/** The name of a database in a message. */
export function nameOf({ name }: Settings): string {
  return name === undefined ? 'a database without a name' : `the database ${JSON.stringify(name)}`
}

/** The value of an option, as its user knows it: where nothing was said, `lazy` is `true`. */
function valueOf(settings: Settings, key: keyof Settings): unknown {
  return key === 'lazy' ? Boolean(settings.lazy) : settings[key]
}

/** Throws if an option differs from that with which the pool was adopted. Omitted options and functions are ignored. */
export function assertSameSettings(settings: Settings, options: SharedConnectionOptions): void {
  const asked = settingsOf(options)
  const differing = (Object.keys(settings) as (keyof Settings)[]).filter(
    (key) =>
      // A function that is written in place is another one each time, so the newest counts.
      typeof asked[key] !== 'function' &&
      options[key] !== undefined &&
      valueOf(asked, key) !== valueOf(settings, key),
  )
  if (differing.length === 0) return
  const list = differing.map(
    (key) => `${key} (was ${inWords(valueOf(settings, key))}, now ${inWords(valueOf(asked, key))})`,
  )
  throw new OptionsConflictError(
    `this pool is shared already, with other options: ${list.join(', ')}. Pass the options once, or the same ones each time`,
  )
}
