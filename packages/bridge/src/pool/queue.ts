import type { Frame } from '../transaction/frame.ts'

/** A control statement that waits for the next real statement, to ride in front of it. */
export interface Rider {
  /** `set` narrows the savepoint that was opened in front of it. */
  readonly op: 'begin' | 'savepoint' | 'set' | 'release'
  readonly sql: string
  readonly frame: Frame
}

/** What goes over the wire in one trip: a statement, or somebody who speaks to the client directly. */
export interface Trip {
  readonly frame: Frame | undefined
  readonly run: (riders: readonly Rider[]) => Promise<unknown>
  readonly refuse: (error: unknown) => void
}

/** What waits on one connection: trips, and the control statements that ride with the trip behind them. */
export class Queue {
  readonly #items: (Rider | Trip)[] = []

  /** Whether a trip waits. */
  get hasTrips(): boolean {
    return this.#items.some(isTrip)
  }

  push(item: Rider | Trip): void {
    this.#items.push(item)
  }

  /** Takes out the first trip, with the control statements in front of it. */
  shift(): { readonly trip: Trip; readonly riders: readonly Rider[] } | undefined {
    const at = this.#items.findIndex(isTrip)
    if (at === -1) return undefined
    const riders = this.#items.splice(0, at) as Rider[]
    return { riders, trip: this.#items.shift() as Trip }
  }

  /** Puts back control statements whose trip was refused before anything was sent. */
  putBack(riders: readonly Rider[]): void {
    this.#items.unshift(...riders)
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

  /** Takes out everything; gives the trips. */
  dropAll(): Trip[] {
    return this.#items.splice(0).filter(isTrip)
  }

  #opening(frame: Frame): number {
    return this.#items.findIndex((item) => item.frame === frame && !isTrip(item) && OPENS[item.op])
  }
}

const OPENS: { readonly [O in Rider['op']]: boolean } = {
  begin: true,
  savepoint: true,
  set: false,
  release: false,
}

function isTrip(item: Rider | Trip): item is Trip {
  return 'run' in item
}
