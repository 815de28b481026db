import type { Frame } from '../transaction/frame.ts'
import { BatchCollector } from './batch-collector.ts'
import { QueueEntry } from './queue-entry.ts'

/** A control statement that waits for the next real statement, to ride in front of it. */
export interface DeferredCommand {
  /** `set` narrows the savepoint that was opened in front of it. */
  readonly op: 'begin' | 'savepoint' | 'set' | 'release'
  readonly sql: string
  readonly frame: Frame
}

/** What waits on one connection: trips, and the control statements that ride with the trip behind them. */
export class SendQueue {
  readonly #items: (DeferredCommand | QueueEntry)[] = []
  #collector: BatchCollector | undefined

  /** Whether a trip waits. */
  get hasEntries(): boolean {
    return this.#items.some(isEntry)
  }

  /** Whether a trip of the frame, or of one inside it, waits. */
  hasEntriesOf(frame: Frame): boolean {
    return this.#items.some((item) => isEntry(item) && item.frame?.isInside(frame))
  }

  push(item: DeferredCommand | QueueEntry): void {
    this.#items.push(item)
    if (isEntry(item)) this.#collector?.note(item)
  }

  /** Gives nothing out while the statements of a batch come; `onRelease` is told of the end. */
  collect(
    frame: Frame,
    canPipeline: (entry: QueueEntry) => boolean,
    onRelease: () => void,
  ): BatchCollector {
    this.#collector = new BatchCollector(frame, canPipeline, () => {
      this.#collector = undefined
      onRelease()
    })
    return this.#collector
  }

  get isCollecting(): boolean {
    return this.#collector !== undefined
  }

  /** Takes out the first trip, with the control statements in front of it. */
  shift():
    | { readonly entry: QueueEntry; readonly deferred: readonly DeferredCommand[] }
    | undefined {
    if (this.isCollecting) return undefined
    const at = this.#items.findIndex(isEntry)
    if (at === -1) return undefined
    const deferred = at === 0 ? NONE : (this.#items.splice(0, at) as DeferredCommand[])
    return { deferred, entry: this.#items.shift() as QueueEntry }
  }

  /** Takes out the trips in front, as long as `goesAlong` holds and no control statement is between. */
  shiftWhile(canPipeline: (entry: QueueEntry) => boolean): QueueEntry[] {
    const end = this.#items.findIndex((item) => !isEntry(item) || !canPipeline(item))
    return this.#items.splice(0, end === -1 ? this.#items.length : end) as QueueEntry[]
  }

  /** Whether others may leave together with what stands in front: in a transaction, but for its end. */
  get mayPipeline(): boolean {
    const [first] = this.#items
    return first?.frame !== undefined && !(isEntry(first) && first.isAlone)
  }

  /** Puts back what was refused before anything of it was sent. */
  putBack(items: readonly (DeferredCommand | QueueEntry)[]): void {
    this.#items.unshift(...items)
  }

  /** Takes one trip out; tells whether it was there. */
  remove(entry: QueueEntry): boolean {
    const at = this.#items.indexOf(entry)
    if (at !== -1) this.#items.splice(at, 1)
    return at !== -1
  }

  /** Whether the command that opens the frame has not left yet, deferred or not. */
  holdsOpening(frame: Frame): boolean {
    const isOpening = (item: DeferredCommand | QueueEntry): boolean =>
      item.frame === frame && (isEntry(item) ? item.statement?.opens === true : OPENS[item.op])
    return this.#items.some(isOpening)
  }

  /** Forgets a frame whose opening waits and in which no trip does, with all that was opened in it. */
  forget(frame: Frame): boolean {
    const at = this.#opening(frame)
    if (at === -1 || this.#items.slice(at).some(isEntry)) return false
    this.#items.splice(at)
    return true
  }

  /** Drops the releases that wait at the end: what comes next makes them pointless. */
  dropReleases(inside: Frame): void {
    while (this.#items.length > 0) {
      const last = this.#items.at(-1)
      if (last === undefined || isEntry(last) || last.op !== 'release') return
      if (!last.frame.isInside(inside)) return
      this.#items.pop()
    }
  }

  /** Takes out everything of the frame and of those inside it; gives the trips. */
  drop(frame: Frame): QueueEntry[] {
    const dropped = this.#items.filter((item) => item.frame?.isInside(frame))
    const kept = this.#items.filter((item) => !dropped.includes(item))
    this.#items.splice(0, this.#items.length, ...kept)
    return dropped.filter(isEntry)
  }

  /** Takes out the trips of which it holds. */
  take(holds: (entry: QueueEntry) => boolean): QueueEntry[] {
    const taken = this.#items.filter((item) => isEntry(item) && holds(item)) as QueueEntry[]
    for (const entry of taken) this.remove(entry)
    return taken
  }

  /** Takes out everything; gives the trips. */
  dropAll(): QueueEntry[] {
    return this.#items.splice(0).filter(isEntry)
  }

  #opening(frame: Frame): number {
    return this.#items.findIndex((item) => item.frame === frame && !isEntry(item) && OPENS[item.op])
  }
}

const NONE: readonly DeferredCommand[] = []

const OPENS: { readonly [O in DeferredCommand['op']]: boolean } = {
  begin: true,
  savepoint: true,
  set: false,
  release: false,
}

function isEntry(item: DeferredCommand | QueueEntry): item is QueueEntry {
  return item instanceof QueueEntry
}
