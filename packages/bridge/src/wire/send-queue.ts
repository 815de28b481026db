import type { Frame } from '../transaction/frame.ts'
import { BatchCollector } from './batch-collector.ts'
import { type DeferredCommand, opens } from './deferred-command.ts'
import type { QueueEntry } from './queue-entry.ts'
import { StatementGroup } from './statement-group.ts'

/** What waits on one connection: the entries, each with the deferred commands in front of it. */
export class SendQueue {
  readonly #entries: QueueEntry[] = []
  /** The entries in the order in which they are sent. */
  readonly entries: readonly QueueEntry[] = this.#entries
  /** The commands behind all entries: they wait for the next one. */
  #deferred: DeferredCommand[] = []
  #collector: BatchCollector | undefined

  /** Whether an entry of the frame, or of one inside it, waits. */
  hasEntriesOf(frame: Frame): boolean {
    return this.#entries.some((entry) => entry.frame?.isInside(frame))
  }

  push(entry: QueueEntry): void {
    if (this.#deferred.length > 0) {
      entry.deferred = this.#deferred
      this.#deferred = []
    }
    this.#entries.push(entry)
    this.#collector?.note(entry)
  }

  /** Holds a command back until an entry is pushed behind it. */
  defer(command: DeferredCommand): void {
    this.#deferred.push(command)
  }

  /** Gives nothing out until the collector is released, which calls `onRelease`. */
  collect(frame: Frame, onRelease: () => void): BatchCollector {
    this.#collector = new BatchCollector(frame, () => {
      this.#collector = undefined
      onRelease()
    })
    return this.#collector
  }

  get isCollecting(): boolean {
    return this.#collector !== undefined
  }

  /** Takes out the first entry, unless a batch is being collected. */
  shift(): QueueEntry | undefined {
    return this.#collector === undefined ? this.#entries.shift() : undefined
  }

  /** Takes out the first entries that can be pipelined with one another without a command between them. */
  shiftPipelinable(): readonly QueueEntry[] {
    let end = 0
    for (const { isPipelinable, deferred } of this.#entries) {
      if (!isPipelinable || deferred.length > 0) break
      end++
    }
    return end === 0 ? NONE : this.#entries.splice(0, end)
  }

  /** Puts back, at the front, what was refused before anything was written. */
  putBack(deferred: readonly DeferredCommand[], entries: readonly QueueEntry[]): void {
    this.#entries.unshift(...entries)
    const [first] = this.#entries
    if (first === undefined) this.#deferred.unshift(...deferred)
    else first.deferred = [...deferred, ...first.deferred]
  }

  /** Puts back entries that are sent one after the other, behind the one that they were issued together with. */
  group(first: QueueEntry, behind: readonly QueueEntry[]): void {
    if (behind.length === 0) return
    // Each entry keeps its group.
    void new StatementGroup([first, ...behind])
    this.putBack([], behind)
  }

  /** Takes out an entry. Returns false if it was not in the queue. */
  remove(entry: QueueEntry): boolean {
    return this.#take((each) => each === entry).length > 0
  }

  /** Whether the command that opens the frame has not been sent yet, deferred or not. */
  holdsOpening(frame: Frame): boolean {
    const holds = (command: DeferredCommand): boolean => opens(command, frame)
    if (this.#deferred.some(holds)) return true
    return this.#entries.some(
      (entry) =>
        entry.deferred.some(holds) || (entry.frame === frame && entry.statement?.opens === true),
    )
  }

  /**
   * Removes the command that opens a frame and all commands behind it. Returns false if it was sent,
   * or if an entry waits behind it.
   */
  forget(frame: Frame): boolean {
    const at = this.#deferred.findIndex((command) => opens(command, frame))
    if (at !== -1) this.#deferred.length = at
    return at !== -1
  }

  /** Removes the RELEASE commands at the end: the command that comes next makes them pointless. */
  dropReleases(inside: Frame): void {
    for (;;) {
      const last = this.#deferred.at(-1)
      if (last?.op !== 'release' || !last.frame.isInside(inside)) return
      this.#deferred.pop()
    }
  }

  /** Removes all entries and commands of a frame and of those inside it. Returns the entries. */
  drop(frame: Frame): QueueEntry[] {
    const isOthers = (command: DeferredCommand): boolean => !command.frame.isInside(frame)
    for (const entry of this.#entries) entry.deferred = entry.deferred.filter(isOthers)
    this.#deferred = this.#deferred.filter(isOthers)
    return this.#take((entry) => entry.frame?.isInside(frame) === true)
  }

  /** Removes everything. Returns the entries. */
  dropAll(): QueueEntry[] {
    this.#deferred = []
    return this.#entries.splice(0)
  }

  /** Takes entries out. The commands in front of them go to the entry behind. */
  #take(isTaken: (entry: QueueEntry) => boolean): QueueEntry[] {
    const taken: QueueEntry[] = []
    let orphaned: readonly DeferredCommand[] = []
    for (const entry of this.#entries.splice(0)) {
      const deferred = orphaned.length > 0 ? [...orphaned, ...entry.deferred] : entry.deferred
      const isOut = isTaken(entry)
      orphaned = isOut ? deferred : []
      if (!isOut) entry.deferred = deferred
      ;(isOut ? taken : this.#entries).push(entry)
    }
    this.#deferred.unshift(...orphaned)
    return taken
  }
}

const NONE: readonly QueueEntry[] = []
