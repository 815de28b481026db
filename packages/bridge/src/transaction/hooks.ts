import type { Outcome } from '../outcome.ts'

/** The event that a hook waits for. */
export type HookKind = 'before-commit' | 'after-commit' | 'after-rollback' | 'after-completion'

/** A registered hook. It runs in the async context of its registration. */
export interface Hook<Scope = unknown> {
  readonly kind: HookKind
  /** Runs the hook in the context of its registration, with `scope` as its scope. */
  readonly run: (scope: Scope | undefined, outcome: Outcome) => unknown
}

/**
 * The hooks of one frame, in the order of their registration, from all layers.
 *
 * When a savepoint is released, its hooks move to the end of the parent's list, because the outcome
 * of the transaction is not known yet.
 */
export class HookList<Scope = unknown> {
  #hooks: Hook<Scope>[] = []

  add(hook: Hook<Scope>): void {
    this.#hooks.push(hook)
  }

  /** Adds a hook of the bridge, which must run before users' hooks, since these may rely on it. */
  addFirst(hook: Hook<Scope>): void {
    this.#hooks.unshift(hook)
  }

  get isEmpty(): boolean {
    return this.#hooks.length === 0
  }

  /** Whether the list has a hook of that kind. */
  has(kind: HookKind): boolean {
    return this.#hooks.some((hook) => hook.kind === kind)
  }

  /** Removes and returns the hooks of the given kinds, so that none can run twice. */
  take(...kinds: readonly HookKind[]): Hook<Scope>[] {
    const taken = this.#hooks.filter((hook) => kinds.includes(hook.kind))
    if (taken.length > 0) this.#hooks = this.#hooks.filter((hook) => !kinds.includes(hook.kind))
    return taken
  }

  /** Removes all hooks and returns those that run on this outcome. The others are dropped. */
  takeDue(outcome: Outcome): Hook<Scope>[] {
    if (this.isEmpty) return []
    const kinds = DUE[outcome]
    const due = this.#hooks.filter((hook) => kinds.includes(hook.kind))
    this.#hooks = []
    return due
  }

  /** Moves all hooks to the end of another list. */
  moveTo(parent: HookList<Scope>): void {
    if (this.isEmpty) return
    // One by one, since a call cannot take any number of arguments.
    for (const hook of this.#hooks) parent.#hooks.push(hook)
    this.#hooks = []
  }
}

const DUE: { readonly [O in Outcome]: readonly HookKind[] } = {
  committed: ['after-commit', 'after-completion'],
  'rolled-back': ['after-rollback', 'after-completion'],
  // Neither a commit nor a rollback is certain.
  unknown: ['after-completion'],
}

/** Runs hooks one after the other and returns their errors. An error does not stop the hooks after it. */
export async function runEach<Scope>(
  hooks: readonly Hook<Scope>[],
  scope: Scope | undefined,
  outcome: Outcome,
): Promise<unknown[]> {
  const errors: unknown[] = []
  for (const hook of hooks) {
    try {
      await hook.run(scope, outcome)
    } catch (error) {
      errors.push(error)
    }
  }
  return errors
}
