import { HookError } from '../errors.ts'
import { suppress } from '../suppress.ts'
import { hookChannel } from '../instrumentation/channels.ts'
import type { Outcome } from '../outcome.ts'
import type { Settings } from '../settings.ts'
import { notSent } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { runEach } from '../transaction/hooks.ts'
import { Scope } from '../transaction/scope.ts'
import type { Session } from './session.ts'

/** The error that the caller is about to get: it stays in front of what hooks throw. */
export type FirstError = { readonly error: unknown } | undefined

/**
 * Finishes a transaction that has ended: its client goes back, once, and before any hook runs. Returns a
 * promise where the client has to wait for another answer of the server.
 */
export function finish(
  { turns }: Session,
  root: Frame,
  outcome: Outcome,
  error: unknown,
): Promise<void> | undefined {
  const { onEnd } = root
  root.onEnd = undefined
  const returned = onEnd?.(outcome, error)
  turns.advance(notSent)
  return returned
}

/** Resolves when the transaction has ended. */
export function whenEnded(root: Frame): Promise<void> {
  const { onEnd } = root
  if (onEnd === undefined) return Promise.resolve()
  return new Promise((resolve) => {
    root.onEnd = (outcome, error) => {
      resolve()
      return onEnd(outcome, error)
    }
  })
}

/**
 * Runs the hooks of a frame that waited for this outcome, in the surroundings of the frame: in the
 * parent's frame after a savepoint, outside after a transaction. Returns nothing where there are none.
 */
export function runHooks(
  session: Session,
  frame: Frame,
  outcome: Outcome,
  first: FirstError,
): Promise<void> | undefined {
  if (frame.hooks.isEmpty) return undefined
  const running = runDue(session, frame, outcome, first)
  frame.settling = Promise.allSettled([frame.settling, running])
  return running
}

async function runDue(
  { scopeKey, settings }: Session,
  frame: Frame,
  outcome: Outcome,
  first: FirstError,
): Promise<void> {
  const hooks = frame.hooks.takeDue(outcome)
  if (hooks.length === 0) return
  const surrounding = frame.ended ? frame.parent : frame
  const { around, id: transaction } = frame.root
  const scope = surrounding && new Scope(around, scopeKey, 'block', undefined, surrounding)
  const errors = await runEach(hooks, scope ?? around, outcome)
  if (hookChannel.hasSubscribers) {
    const { name: database } = settings
    hookChannel.publish({ database, transaction, outcome, count: hooks.length, errors })
  }
  if (errors.length > 0) reportHookError(new HookError(outcome, errors), first, settings)
}

/**
 * Reports a failure after an outcome that stands: to `onHookError` where there is one, else beside the
 * first error, else by throwing it.
 */
export function reportHookError(
  failure: HookError,
  first: FirstError,
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
