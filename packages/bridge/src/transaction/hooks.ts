import type { Outcome } from '../outcome.ts'

/** The moments a hook can wait for. */
export type HookKind = 'before-commit' | 'after-commit' | 'after-rollback' | 'after-completion'

/** One registered hook, ready to run in the async context of its registration. */
export interface Hook<Scope = unknown> {
  readonly kind: HookKind
  /** Runs it there, as code that stands in `scope`. */
  readonly run: (scope: Scope | undefined, outcome: Outcome) => unknown
}

/**
 * The hooks of one frame, in the order of their registration, whichever layer they came through.
 *
 * A released savepoint hands its hooks to its parent, at the place of the release: what they wait
 * for is not decided yet.
 */
export class HookList<Scope = unknown> {
  #hooks: Hook<Scope>[] = []

  add(hook: Hook<Scope>): void {
    this.#hooks.push(hook)
  }

  /** For the bridge's own work, which users' hooks may rely on. */
  addFirst(hook: Hook<Scope>): void {
    this.#hooks.unshift(hook)
  }

  get isEmpty(): boolean {
    return this.#hooks.length === 0
  }

  /** Whether any hook of that kind waits. */
  has(kind: HookKind): boolean {
    return this.#hooks.some((hook) => hook.kind === kind)
  }

  /** Takes the hooks of a kind out, so that none can run twice. */
  take(...kinds: readonly HookKind[]): Hook<Scope>[] {
    const taken = this.#hooks.filter((hook) => kinds.includes(hook.kind))
    if (taken.length > 0) this.#hooks = this.#hooks.filter((hook) => !kinds.includes(hook.kind))
    return taken
  }

  /** Takes all that waited for this outcome; what waited for another is dropped. */
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
    // one by one: as arguments of one call they can be too many
    for (const hook of this.#hooks) parent.#hooks.push(hook)
    this.#hooks = []
  }
}

const DUE: { readonly [O in Outcome]: readonly HookKind[] } = {
  committed: ['after-commit', 'after-completion'],
  'rolled-back': ['after-rollback', 'after-completion'],
  // neither a commit nor a rollback is certain
  unknown: ['after-completion'],
}

/** Runs hooks one after the other. One that throws stops none of the others; its error is given back. */
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
