import { HookError, suppress } from '../errors.ts'
import { hookChannel } from '../instrumentation/channels.ts'
import type { Frame } from '../transaction/frame.ts'
import { runEach } from '../transaction/hooks.ts'
import type { Outcome } from '../outcome.ts'
import { Scope } from '../transaction/scope.ts'
import type { Settings } from '../settings.ts'

/**
 * Runs the hooks that waited for this outcome of a frame, where the frame's surroundings are: in
 * the parent's frame after a savepoint, outside after a transaction.
 *
 * `first` is the error that the caller is about to get: it stays in front of what hooks throw.
 */
export async function runHooks(
  frame: Frame,
  outcome: Outcome,
  first: { readonly error: unknown } | undefined,
  database: object,
  settings: Settings,
): Promise<void> {
  const hooks = frame.hooks.takeDue(outcome)
  if (hooks.length === 0) return
  const surrounding = frame.ended ? frame.parent : frame
  const { around } = frame.root
  const scope = surrounding && new Scope(around, database, 'block', undefined, surrounding)
  const errors = await runEach(hooks, scope ?? around, outcome)
  if (hookChannel.hasSubscribers) {
    hookChannel.publish({
      database: settings.name,
      transaction: frame.root.id,
      outcome,
      count: hooks.length,
      errors,
    })
  }
  if (errors.length === 0) return
  reportHookError(new HookError(outcome, errors), first, settings)
}

/** Tells of what has failed behind an outcome that stands: to `onHookError`, else with the first error. */
export function reportHookError(
  failure: HookError,
  first: { readonly error: unknown } | undefined,
  { onHookError }: Settings,
): void {
  const failures: unknown[] = [failure]
  try {
    if (onHookError !== undefined) return onHookError(failure)
  } catch (thrown) {
    if (thrown !== failure) failures.push(thrown)
  }
  for (const each of failures) suppress(first === undefined ? failure : first.error, each)
  if (first === undefined) throw failure
}
