import type { Moment } from './program.ts'

/** A frame of a program that ran, with its outcome as the program saw it. */
export class RecordedFrame {
  readonly parent: RecordedFrame | undefined
  /** A manual savepoint that is open in it. Its statements run there. */
  mark: RecordedFrame | undefined
  /** The result of the promise of its block. A manual savepoint succeeds unless it was rolled back. */
  isKept: boolean

  constructor(parent: RecordedFrame | undefined, isKept = false) {
    this.parent = parent
    this.isKept = isKept
  }

  get root(): RecordedFrame {
    return this.parent?.root ?? this
  }

  get innermost(): RecordedFrame {
    return this.mark?.innermost ?? this
  }

  /** Whether its work has been committed. */
  get isCommitted(): boolean {
    return this.isKept && (this.parent?.isCommitted ?? true)
  }
}

/** A note that the program inserts. */
export interface RecordedNote {
  readonly text: string
  readonly frame: RecordedFrame | undefined
  isFulfilled: boolean
}

/** A hook that the program registers. */
export interface RecordedHook {
  readonly id: number
  readonly moment: Moment
  readonly frame: RecordedFrame | undefined
  isRegistered: boolean
  /** The outcomes with which it ran. */
  readonly runs: unknown[]
}

/** A block that joined a frame and has failed. */
export interface FailedJoin {
  readonly id: number
  readonly frame: RecordedFrame
}

/** Records the events of a program, as the program itself sees them. */
export class Record {
  /** The steps that settled and the hooks that ran, in order. */
  readonly log: string[] = []
  readonly notes: RecordedNote[] = []
  readonly hooks: RecordedHook[] = []
  readonly failedJoins: FailedJoin[] = []
  /** Branches that may still run when the program has ended. */
  readonly loose: Promise<unknown>[] = []
}

/**
 * Checks the rules that hold for any order: a note exists if and only if it and all blocks around it were
 * fulfilled, and hooks ran with the true outcome. Returns the violations.
 */
export function liesOf(record: Record, rows: ReadonlySet<string>): string[] {
  return [
    ...record.notes.flatMap((note) => lieOfNote(note, rows)),
    ...record.hooks.flatMap(lieOfHook),
    ...record.failedJoins
      .filter(({ frame }) => frame.isCommitted)
      .map(({ id }) => `block ${id} joined and failed, but what it joined was committed`),
    ...record.log
      .filter((line) => IMPOSSIBLE.test(line))
      .map((line) => `there is no reason for ${line}`),
  ]
}

/** Programs do not cut connections, bypass the bridge, or wait for ever, so these errors are impossible. */
const IMPOSSIBLE =
  /TurnTimeoutError|PoolExhaustedError|TransactionDriftError|TransactionOutcomeUnknownError/

function lieOfNote(
  { text, frame, isFulfilled }: RecordedNote,
  rows: ReadonlySet<string>,
): string[] {
  const isDue = isFulfilled && (frame?.isCommitted ?? true)
  if (isDue === rows.has(text)) return []
  const told = !isFulfilled ? 'rejected' : isDue ? 'fulfilled and committed' : 'rolled back'
  return [`${text} was ${told}, but its row is ${isDue ? 'not there' : 'there'}`]
}

function lieOfHook({ id, moment, frame, isRegistered, runs }: RecordedHook): string[] {
  const due = isRegistered ? dueOf(moment, frame) : []
  // A before-commit hook may have run or not if COMMIT was not reached.
  const isFree = moment === 'beforeCommit' && runs.length <= 1 && due.length === 0 && isRegistered
  if (isFree || String(due) === String(runs)) return []
  return [`${moment} hook ${id} should have run [${due.join()}], but ran [${runs.join()}]`]
}

/** The expected outcomes of a hook, one for each time it must run. */
function dueOf(moment: Moment, frame: RecordedFrame | undefined): string[] {
  if (frame === undefined) {
    return moment === 'afterCommit' || moment === 'beforeCommit' ? ['committed'] : []
  }
  switch (moment) {
    case 'beforeCommit':
    case 'afterCommit':
      return frame.isCommitted ? ['committed'] : []
    case 'afterRollback':
      return frame.isCommitted ? [] : ['rolled-back']
    default:
      return [frame.isCommitted ? 'committed' : 'rolled-back']
  }
}
