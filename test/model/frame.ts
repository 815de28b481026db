import type { Hook } from './program.ts'
import type { Word } from './thrown.ts'

/** A frame of the model. It follows PostgreSQL and the README only, not the bridge. */
export class ModelFrame {
  readonly parent: ModelFrame | undefined
  /** A manual savepoint that is open in it. */
  mark: ModelFrame | undefined
  notes: string[] = []
  hooks: Hook[] = []
  /** The statement error that has aborted it. */
  failure: Word
  /** The cause of the failure of a block that had joined it. */
  rollbackOnly: { readonly cause: Word } | undefined
  rollsBackOnExit = false
  hasEnded = false
  /** After its end: whether it has committed or was released. */
  isKept = false

  constructor(parent: ModelFrame | undefined) {
    this.parent = parent
  }

  get root(): ModelFrame {
    return this.parent?.root ?? this
  }

  /** The frame in which its statements run. */
  get innermost(): ModelFrame {
    return this.mark?.innermost ?? this
  }

  /** Whether it, or a frame around it, has ended. */
  get isOver(): boolean {
    return this.hasEnded || (this.parent?.isOver ?? false)
  }

  /** The error because of which the server accepts only a rollback: its own, or that of an open manual savepoint. */
  get abortedBy(): Word {
    return this.failure ?? this.mark?.abortedBy
  }

  /** The facts that decide its outcome. */
  get fate(): string {
    const { abortedBy, rollbackOnly, isOver, rollsBackOnExit } = this
    return JSON.stringify([abortedBy, rollbackOnly, isOver, rollsBackOnExit])
  }

  /** Ends its open manual savepoints, whose work becomes its own. */
  closeMarks(): void {
    const { mark } = this
    if (mark === undefined) return
    mark.closeMarks()
    this.notes.push(...mark.notes)
    this.hooks.push(...mark.hooks)
    mark.hasEnded = true
    this.mark = undefined
  }

  /** Ends it. Its work and its hooks move to the parent. */
  release(): void {
    this.closeMarks()
    this.hasEnded = true
    this.isKept = true
    this.parent?.notes.push(...this.notes)
    this.parent?.hooks.push(...this.hooks)
  }

  /** Rolls back its work. Returns the hooks that wait for that. */
  rollBack(): Hook[] {
    this.closeMarks()
    const { hooks } = this
    this.hooks = []
    this.notes = []
    return hooks.filter(({ moment }) => moment === 'afterRollback' || moment === 'afterCompletion')
  }
}
