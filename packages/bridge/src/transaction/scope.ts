import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { inCore } from '../core.ts'
import type { Frame } from './frame.ts'
import { ScopeNode } from './scope-node.ts'

/** A node of the chain of scopes around a piece of code. */
export type Scope = ScopeNode<Frame>
export const Scope = ScopeNode<Frame>

/** Holds the innermost scope of the running code. All copies of the package share this one store. */
const storage = inCore('scopes', () => new AsyncLocalStorage<Scope | undefined>())

/** Returns the innermost scope of the calling code. */
export function currentScope(): Scope | undefined {
  return storage.getStore()
}

/** Runs `fn` in that scope. `fn` must await query builders itself: they run where they are awaited. */
export function runIn<T>(scope: Scope | undefined, fn: () => T): T {
  return storage.run(scope, fn)
}

/** Returns the frame of a database that code in this scope belongs to. */
export function ambientFrame(scope: Scope | undefined, database: object): Frame | undefined {
  for (let at = scope; at !== undefined; at = at.parent) {
    if (at.database !== database) continue
    if (at.kind === 'outside') return undefined
    if (at.frame !== undefined) return at.frame
  }
  return undefined
}

/**
 * Open transactions that cannot end before this code does, those left by `outside()` included. Used to
 * find pool deadlocks.
 */
export function enclosingTransactions(
  scope: Scope | undefined,
  database: object,
): ReadonlySet<Frame> {
  let held: Set<Frame> | undefined
  for (let at = scope; at !== undefined; at = at.parent) {
    const root = at.database === database ? at.frame?.root : undefined
    if (root?.ended === false) (held ??= new Set()).add(root)
  }
  return held ?? NONE
}

const NONE: ReadonlySet<Frame> = new Set()

/** Whether `scope` is `outer` or lies inside it. */
export function isUnder(scope: Scope | undefined, outer: Scope): boolean {
  for (let at = scope; at !== undefined; at = at.parent) {
    if (at === outer) return true
  }
  return false
}

/**
 * Whether code in `scope` may still work in a frame. While the frame is ending, only the code that the
 * end waits for may: before-commit hooks and the blocks that have joined the frame.
 */
export function mayWork(frame: Frame, scope: Scope | undefined): boolean {
  for (let at: Frame | undefined = frame; at !== undefined; at = at.parent) {
    if (at.evicted === undefined) continue
    for (const evicted of at.evicted) if (isUnder(scope, evicted)) return false
  }
  if (frame.phase === 'open') return true
  // COMMIT is in flight: a statement sent now would run after it, outside the transaction.
  if (frame.phase !== 'ending') return false
  const { joined, beforeCommitScope } = frame
  if (beforeCommitScope !== undefined && isUnder(scope, beforeCommitScope)) return true
  for (const participant of joined?.keys() ?? []) if (isUnder(scope, participant)) return true
  return false
}

/**
 * Captures the async context of the caller, except for this package's own store, which the returned
 * function sets to the given scope. (Setting the store around the captured context would have no
 * effect: entering the context brings its old store back.)
 */
export function captureContext(): <T>(scope: Scope | undefined, fn: () => T) => T {
  const caller = new AsyncResource('shared-connection')
  return (scope, fn) => caller.runInAsyncScope(() => storage.run(scope, fn))
}
