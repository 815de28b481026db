import type { Hook } from './program.ts'
import type { Word } from './thrown.ts'

/** A frame of the model: what PostgreSQL and the README say of a transaction or a savepoint, nothing else. */
export class ModelFrame {
  readonly parent: ModelFrame | undefined
  /** A savepoint by hand that is open on it. */
  mark: ModelFrame | undefined
  notes: string[] = []
  hooks: Hook[] = []
  /** The statement error that has left it aborted. */
  failure: Word
  /** A block that had joined it has failed, with that cause. */
  doomed: { readonly cause: Word } | undefined
  rollsBackOnExit = false
  hasEnded = false
  /** Of an ended one: whether its work was kept. */
  isKept = false

  constructor(parent: ModelFrame | undefined) {
    this.parent = parent
  }

  get root(): ModelFrame {
    return this.parent?.root ?? this
  }

  /** Where what is sent to it runs. */
  get innermost(): ModelFrame {
    return this.mark?.innermost ?? this
  }

  /** Whether it, or a frame around it, has ended. */
  get isOver(): boolean {
    return this.hasEnded || (this.parent?.isOver ?? false)
  }

  /** The error for which the server refuses all but a rollback: of it, or of a savepoint left open in it. */
  get abortedBy(): Word {
    return this.failure ?? this.mark?.abortedBy
  }

  /** All that decides how it will end. */
  get fate(): string {
    const { abortedBy, doomed, isOver, rollsBackOnExit } = this
    return JSON.stringify([abortedBy, doomed, isOver, rollsBackOnExit])
  }

  /** Gives what was done in its open savepoints, by hand, back to it: who ends it, ends those. */
  closeMarks(): void {
    const { mark } = this
    if (mark === undefined) return
    mark.closeMarks()
    this.notes.push(...mark.notes)
    this.hooks.push(...mark.hooks)
    mark.hasEnded = true
    this.mark = undefined
  }

  /** Ends it. Its work and its hooks go to the frame around it. */
  release(): void {
    this.closeMarks()
    this.hasEnded = true
    this.isKept = true
    this.parent?.notes.push(...this.notes)
    this.parent?.hooks.push(...this.hooks)
  }

  /** Takes back all its work, and gives the hooks that wait for that. */
  rollBack(): Hook[] {
    this.closeMarks()
    const { hooks } = this
    this.hooks = []
    this.notes = []
    return hooks.filter(({ moment }) => moment === 'afterRollback' || moment === 'afterCompletion')
  }
}
