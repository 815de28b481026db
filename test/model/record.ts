import type { Moment } from './program.ts'

/** A frame of a program that ran: what became of it, as the program was told. */
export class RecordedFrame {
  readonly parent: RecordedFrame | undefined
  /** A savepoint by hand that is open on it: what is sent to it runs there. */
  mark: RecordedFrame | undefined
  /** Told by the promise of its block. A savepoint by hand is kept unless it was rolled back. */
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

  /** Whether what was done in it has been committed. */
  get isCommitted(): boolean {
    return this.isKept && (this.parent?.isCommitted ?? true)
  }
}

/** A note that was sent, or will be. */
export interface RecordedNote {
  readonly text: string
  readonly frame: RecordedFrame | undefined
  isFulfilled: boolean
}

/** A hook whose registration was asked for. */
export interface RecordedHook {
  readonly id: number
  readonly moment: Moment
  readonly frame: RecordedFrame | undefined
  isRegistered: boolean
  /** What it was told each time it ran. */
  readonly runs: unknown[]
}

/** A block that joined a frame and has failed. */
export interface FailedJoin {
  readonly id: number
  readonly frame: RecordedFrame
}

/** What happened while a program ran, as far as the program itself could see it. */
export class Record {
  /** What settled and what ran, in the order of its happening. */
  readonly log: string[] = []
  readonly notes: RecordedNote[] = []
  readonly hooks: RecordedHook[] = []
  readonly failedJoins: FailedJoin[] = []
  /** Branches that may go on when the program has ended. */
  readonly loose: Promise<unknown>[] = []
}

/**
 * What must be so whatever the order was: a note is there if it was fulfilled and so were all
 * blocks around it, and only then; hooks have heard the truth. Gives what is not so.
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

/** Nothing here cuts a connection, moves a transaction behind the bridge, or waits for ever. */
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
  // how often a hook before COMMIT ran is no promise where COMMIT was never asked for
  const isFree = moment === 'beforeCommit' && runs.length <= 1 && due.length === 0 && isRegistered
  if (isFree || String(due) === String(runs)) return []
  return [`${moment} hook ${id} should have run [${due.join()}], but ran [${runs.join()}]`]
}

/** What a hook should have heard, once for each time it should have run. */
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
