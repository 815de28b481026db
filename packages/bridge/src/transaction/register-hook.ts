import { InvalidArgumentError, NoTransactionError } from '../errors.ts'
import { closedError } from './frame-errors.ts'
import type { Frame } from './frame.ts'
import type { HookKind } from './hooks.ts'
import type { Outcome } from '../outcome.ts'
import { captureContext, currentScope, mayWork } from './scope.ts'
import { inWords } from '../wording.ts'

/** A hook. Its promise is awaited before the call that ended the transaction resolves. */
export type HookFunction<T = unknown> = () => T | Promise<T>

/** The options of a hook. */
export interface HookOptions {
  /**
   * The frame that the hook belongs to. `savepoint` (default): the innermost frame around the caller;
   * if that frame is rolled back, its `afterCommit` and `beforeCommit` hooks are dropped.
   * `transaction`: the outermost frame, whatever happens to the savepoint.
   */
  readonly scope?: 'savepoint' | 'transaction'
  /** A handle (`tx`, `trx`). The hook belongs to its frame instead of the one around the caller. */
  readonly on?: object
  /**
   * The behaviour where no transaction is open. `run` (default): `afterCommit` and `beforeCommit` run
   * at once, the other hooks are ignored. `throw`: throws {@link NoTransactionError}.
   */
  readonly outside?: 'run' | 'throw'
}

/**
 * The four hooks. They can be destructured. A hook runs in the async context of its registration, and
 * hooks of one frame run in the order of their registration. Registering sends no SQL.
 *
 * Each throws {@link TransactionClosedError} if the frame is ending or has ended, and
 * {@link InvalidArgumentError} if `fn` is not a function or an option is not valid.
 */
export interface Hooks {
  /**
   * Runs `fn` after the outermost transaction, whichever layer holds it, has committed and its client
   * is back in the pool. The hook is dropped if its frame, or one around it, is rolled back. Outside a
   * transaction `fn` runs at once and its promise is returned.
   *
   * ```ts
   * db.afterCommit(() => mailer.welcome(account))
   * ```
   *
   * If `fn` throws, the call that ended the transaction rejects with {@link HookError}. The data stays
   * committed, and the other hooks still run.
   */
  afterCommit(this: void, fn: HookFunction, options?: HookOptions): Promise<void>
  /**
   * Runs `fn` right after the rollback of its frame, or of any frame around it. For a savepoint that
   * is before its block rejects, in the parent's frame. Ignored outside a transaction.
   */
  afterRollback(this: void, fn: HookFunction, options?: HookOptions): Promise<void>
  /**
   * Runs `fn` in the outermost frame just before COMMIT. It can still send statements, and if it throws,
   * the transaction is rolled back. The hook is dropped if its savepoint is rolled back. Outside a
   * transaction `fn` runs at once.
   */
  beforeCommit(this: void, fn: HookFunction, options?: HookOptions): Promise<void>
  /**
   * Runs `fn` with the outcome after the transaction has ended, or its savepoint was rolled back. The
   * outcome is `unknown` if the connection was lost while COMMIT was in flight. Ignored outside a
   * transaction.
   */
  afterCompletion(
    this: void,
    fn: (outcome: Outcome) => unknown,
    options?: HookOptions,
  ): Promise<void>
}

/**
 * Registers a hook on a frame, to run in the async context of the caller. Without a frame, hooks that
 * wait for a commit run at once.
 */
export async function registerHook(
  kind: HookKind,
  fn: (outcome: Outcome) => unknown,
  frameFor: () => Frame | undefined,
  options: HookOptions = {},
): Promise<void> {
  if (typeof fn !== 'function') {
    throw new InvalidArgumentError(`the ${kind} hook was ${inWords(fn)}; give a function`)
  }
  assertOptions(options)
  const { scope, outside } = options
  if (scope !== undefined && scope !== 'savepoint' && scope !== 'transaction') {
    throw new InvalidArgumentError(
      `the option scope of a hook was ${inWords(scope)}; give "savepoint" or "transaction"`,
    )
  }
  if (outside !== undefined && outside !== 'run' && outside !== 'throw') {
    throw new InvalidArgumentError(
      `the option outside of a hook was ${inWords(outside)}; give "run" or "throw"`,
    )
  }
  const frame = frameFor()
  if (frame === undefined) {
    if (outside === 'throw') {
      throw new NoTransactionError(
        `the ${kind} hook was not registered: no transaction is open here. ` +
          'Register it inside a transaction, or leave out outside: "throw"',
      )
    }
    if (kind === 'after-commit' || kind === 'before-commit') await fn('committed')
    return
  }
  if (!mayWork(frame, currentScope())) {
    throw closedError(frame, 'the hook was not registered')
  }
  const run = captureContext()
  const home = scope === 'transaction' ? frame.root : frame
  // Async, so that a lazy query builder that `fn` returns is awaited in that context.
  home.hooks.add({ kind, run: (at, outcome) => run(at, async () => fn(outcome)) })
}

const OPTIONS: readonly string[] = ['scope', 'on', 'outside']

function assertOptions(options: unknown): void {
  if (options === null || typeof options !== 'object') {
    throw new InvalidArgumentError(
      `the options of a hook were ${inWords(options)}; give an object, or leave them out`,
    )
  }
  const unknown = Object.keys(options).find((key) => !OPTIONS.includes(key))
  if (unknown === undefined) return
  throw new InvalidArgumentError(
    `a hook has no option ${inWords(unknown)}; its options are ${OPTIONS.join(', ')}`,
  )
}
