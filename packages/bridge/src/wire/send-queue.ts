import type { Frame } from '../transaction/frame.ts'
import { Gathering } from './batch-collector.ts'
import { Trip } from './queue-entry.ts'

/** A control statement that waits for the next real statement, to ride in front of it. */
export interface Rider {
  /** `set` narrows the savepoint that was opened in front of it. */
  readonly op: 'begin' | 'savepoint' | 'set' | 'release'
  readonly sql: string
  readonly frame: Frame
}

/** What waits on one connection: trips, and the control statements that ride with the trip behind them. */
export class Queue {
  readonly #items: (Rider | Trip)[] = []
  #gathering: Gathering | undefined

  /** Whether a trip waits. */
  get hasTrips(): boolean {
    return this.#items.some(isTrip)
  }

  /** Whether a trip of the frame, or of one inside it, waits. */
  hasTripsOf(frame: Frame): boolean {
    return this.#items.some((item) => isTrip(item) && item.frame?.isInside(frame))
  }

  push(item: Rider | Trip): void {
    this.#items.push(item)
    if (isTrip(item)) this.#gathering?.note(item)
  }

  /** Gives nothing out while the statements of a batch come; `onRelease` is told of the end. */
  gather(frame: Frame, goesAlong: (trip: Trip) => boolean, onRelease: () => void): Gathering {
    this.#gathering = new Gathering(frame, goesAlong, () => {
      this.#gathering = undefined
      onRelease()
    })
    return this.#gathering
  }

  get isGathering(): boolean {
    return this.#gathering !== undefined
  }

  /** Takes out the first trip, with the control statements in front of it. */
  shift(): { readonly trip: Trip; readonly riders: readonly Rider[] } | undefined {
    if (this.isGathering) return undefined
    const at = this.#items.findIndex(isTrip)
    if (at === -1) return undefined
    const riders = at === 0 ? NONE : (this.#items.splice(0, at) as Rider[])
    return { riders, trip: this.#items.shift() as Trip }
  }

  /** Takes out the trips in front, as long as `goesAlong` holds and no control statement is between. */
  shiftWhile(goesAlong: (trip: Trip) => boolean): Trip[] {
    const end = this.#items.findIndex((item) => !isTrip(item) || !goesAlong(item))
    return this.#items.splice(0, end === -1 ? this.#items.length : end) as Trip[]
  }

  /** Whether others may leave together with what stands in front: in a transaction, but for its end. */
  get mayGather(): boolean {
    const [first] = this.#items
    return first?.frame !== undefined && !(isTrip(first) && first.isAlone)
  }

  /** Puts back what was refused before anything of it was sent. */
  putBack(items: readonly (Rider | Trip)[]): void {
    this.#items.unshift(...items)
  }

  /** Takes one trip out; tells whether it was there. */
  remove(trip: Trip): boolean {
    const at = this.#items.indexOf(trip)
    if (at !== -1) this.#items.splice(at, 1)
    return at !== -1
  }

  /** Whether the command that opens the frame waits. */
  holdsOpening(frame: Frame): boolean {
    return this.#opening(frame) !== -1
  }

  /** Forgets a frame whose opening waits and in which no trip does, with all that was opened in it. */
  forget(frame: Frame): boolean {
    const at = this.#opening(frame)
    if (at === -1 || this.#items.slice(at).some(isTrip)) return false
    this.#items.splice(at)
    return true
  }

  /** Drops the releases that wait at the end: what comes next makes them pointless. */
  dropReleases(inside: Frame): void {
    while (this.#items.length > 0) {
      const last = this.#items.at(-1)
      if (last === undefined || isTrip(last) || last.op !== 'release') return
      if (!last.frame.isInside(inside)) return
      this.#items.pop()
    }
  }

  /** Takes out everything of the frame and of those inside it; gives the trips. */
  drop(frame: Frame): Trip[] {
    const dropped = this.#items.filter((item) => item.frame?.isInside(frame))
    const kept = this.#items.filter((item) => !dropped.includes(item))
    this.#items.splice(0, this.#items.length, ...kept)
    return dropped.filter(isTrip)
  }

  /** Takes out the trips of which it holds. */
  take(holds: (trip: Trip) => boolean): Trip[] {
    const taken = this.#items.filter((item) => isTrip(item) && holds(item)) as Trip[]
    for (const trip of taken) this.remove(trip)
    return taken
  }

  /** Takes out everything; gives the trips. */
  dropAll(): Trip[] {
    return this.#items.splice(0).filter(isTrip)
  }

  #opening(frame: Frame): number {
    return this.#items.findIndex((item) => item.frame === frame && !isTrip(item) && OPENS[item.op])
  }
}

const NONE: readonly Rider[] = []

const OPENS: { readonly [O in Rider['op']]: boolean } = {
  begin: true,
  savepoint: true,
  set: false,
  release: false,
}

function isTrip(item: Rider | Trip): item is Trip {
  return item instanceof Trip
}
