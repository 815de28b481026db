import type { Frame } from '../transaction/frame.ts'
import type { Outcome } from '../outcome.ts'

/** Does what is to be done when a transaction has ended: once, and before its hooks run. */
export function finish(root: Frame, outcome: Outcome, error: unknown): Promise<void> | undefined {
  const { onEnd } = root
  root.onEnd = undefined
  return onEnd?.(outcome, error)
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
