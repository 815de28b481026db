import { InvalidArgumentError, NoTransactionError } from '../errors.ts'
import { closedError } from './frame-errors.ts'
import type { Frame } from './frame.ts'
import type { HookKind } from './hooks.ts'
import type { Outcome } from '../outcome.ts'
import { captureContext, currentScope, mayWork } from './scope.ts'

/** What a hook may do. It is awaited. */
export type HookFunction<T = unknown> = () => T | Promise<T>

/** Where a hook belongs. */
export interface HookOptions {
  /**
   * `savepoint` (default): to the frame around, so it is dropped if that is rolled back.
   * `transaction`: to the outermost frame, whatever happens to the savepoint.
   */
  readonly scope?: 'savepoint' | 'transaction'
  /** The handle (`tx`, `trx`) whose frame it belongs to, instead of the one around the caller. */
  readonly on?: object
  /** What to do outside a transaction: `run` now what waits for a commit (default), or `throw`. */
  readonly outside?: 'run' | 'throw'
}

/** The four hooks. They can be destructured. */
export interface Hooks {
  /**
   * Runs `fn` once the outermost transaction, whichever layer holds it, has committed and its
   * client is back in the pool. Dropped when its frame is rolled back. Outside a transaction it
   * runs at once, and its promise comes back.
   *
   * ```ts
   * db.afterCommit(() => mailer.welcome(account))
   * ```
   *
   * An error in it rejects the call that ended the transaction, with {@link HookError}: the data
   * stays committed, and the other hooks run.
   */
  afterCommit(this: void, fn: HookFunction, options?: HookOptions): Promise<void>
  /** Runs `fn` right after the rollback of its frame, or of any frame around it. Ignored outside a transaction. */
  afterRollback(this: void, fn: HookFunction, options?: HookOptions): Promise<void>
  /** Runs `fn` in the outermost frame just before COMMIT; throwing rolls back. Dropped with its savepoint. */
  beforeCommit(this: void, fn: HookFunction, options?: HookOptions): Promise<void>
  /** Runs `fn` when the outcome is known, or known to be unknown. Ignored outside a transaction. */
  afterCompletion(
    this: void,
    fn: (outcome: Outcome) => unknown,
    options?: HookOptions,
  ): Promise<void>
}

/**
 * Registers a hook on a frame, to run in the async context of the caller. Without a frame, what
 * waits for a commit runs now.
 */
export async function registerHook(
  kind: HookKind,
  fn: (outcome: Outcome) => unknown,
  frameFor: () => Frame | undefined,
  options: HookOptions = {},
): Promise<void> {
  if (typeof fn !== 'function') {
    throw new InvalidArgumentError(`a hook was ${typeof fn}; give a function`)
  }
  const { scope, outside } = options
  if (scope !== undefined && scope !== 'savepoint' && scope !== 'transaction') {
    throw new InvalidArgumentError(
      `scope was ${JSON.stringify(scope)}; give "savepoint" or "transaction"`,
    )
  }
  if (outside !== undefined && outside !== 'run' && outside !== 'throw') {
    throw new InvalidArgumentError(`outside was ${JSON.stringify(outside)}; give "run" or "throw"`)
  }
  const frame = frameFor()
  if (frame === undefined) {
    if (outside === 'throw') {
      throw new NoTransactionError(`${kind} was asked for, but no transaction is open here`)
    }
    if (kind === 'after-commit' || kind === 'before-commit') await fn('committed')
    return
  }
  if (!mayWork(frame, currentScope())) {
    throw closedError(frame, 'the hook was not registered')
  }
  const run = captureContext()
  const home = scope === 'transaction' ? frame.root : frame
  // async, so that a lazy builder which it returns is awaited there
  home.hooks.add({ kind, run: (at, outcome) => run(at, async () => fn(outcome)) })
}
