import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import type { Frame } from './frame.ts'

/**
 * One link of the chain that says where a piece of code stands, for one database.
 *
 * The chain is immutable but for one thing: `frame` is written once, by the `begin` of the block
 * that made the link. So parallel branches never see each other's frames.
 */
export class Scope {
  readonly parent: Scope | undefined
  /** The database that this link speaks of: its identity, nothing else is read of it. */
  readonly database: object
  /** `outside`: code in it has left the transactions around it. `via`: names whom it speaks for. */
  readonly kind: 'block' | 'outside' | 'via'
  /** Whom the code under a `via` link speaks for. */
  readonly handle: object | undefined
  /** The frame that code in this block belongs to. */
  frame: Frame | undefined

  constructor(
    parent: Scope | undefined,
    database: object,
    kind: Scope['kind'],
    handle?: object,
    frame?: Frame,
  ) {
    this.parent = parent
    this.database = database
    this.kind = kind
    this.handle = handle
    this.frame = frame
  }
}

/** One store for the whole package: it holds the innermost link of the code that runs. */
const storage = new AsyncLocalStorage<Scope | undefined>()

/** The innermost link of the code that calls. */
export function currentScope(): Scope | undefined {
  return storage.getStore()
}

/** Runs `fn` with that link. Await inside `fn`: builders are lazy, and run where they are awaited. */
export function runIn<T>(scope: Scope | undefined, fn: () => T): T {
  return storage.run(scope, fn)
}

/** The frame of a database that code under this link stands in. */
export function ambientFrame(scope: Scope | undefined, database: object): Frame | undefined {
  for (let at = scope; at !== undefined; at = at.parent) {
    if (at.database !== database) continue
    if (at.kind === 'outside') return undefined
    if (at.frame !== undefined) return at.frame
  }
  return undefined
}

/** The transactions that wait for such code: those it stands in, or has left for a while. */
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

/** Whether code under `link` runs inside `outer`. */
export function isUnder(scope: Scope | undefined, outer: Scope): boolean {
  for (let at = scope; at !== undefined; at = at.parent) {
    if (at === outer) return true
  }
  return false
}

/**
 * Whether code under `link` may still work in a frame: while that is ending, only what it waits for,
 * its before-commit hooks and the blocks that joined it.
 */
export function mayWork(frame: Frame, scope: Scope | undefined): boolean {
  for (let at: Frame | undefined = frame; at !== undefined; at = at.parent) {
    if (at.evicted === undefined) continue
    for (const evicted of at.evicted) if (isUnder(scope, evicted)) return false
  }
  if (frame.ended) return false
  if (frame.state !== 'ending') return true
  // what is sent now would run behind COMMIT
  if (frame.isKeeping) return false
  const { participants, beforeCommitScope } = frame
  if (beforeCommitScope !== undefined && isUnder(scope, beforeCommitScope)) return true
  return [...participants.keys()].some((participant) => isUnder(scope, participant))
}

/**
 * Keeps the async context of the caller, but for this package's own store: `run` sets that to what
 * is given. (The other way round has no effect: the scope would bring the old store back.)
 */
export function captureContext(): <T>(scope: Scope | undefined, fn: () => T) => T {
  const caller = new AsyncResource('shared-connection')
  return (scope, fn) => caller.runInAsyncScope(() => storage.run(scope, fn))
}
