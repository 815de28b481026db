import type { QueryEvent } from './channels.ts'

/**
 * Hands on the answered statements of each connection in the order in which they were sent. Statements that
 * leave together are answered together, and then the layers finish with them in another order.
 */
export class WireOrder {
  readonly #write: (event: QueryEvent) => void
  /** The statements that are not answered yet. An event learns its connection and number when it is sent. */
  readonly #open = new Set<QueryEvent>()
  /** Those that are answered, but wait for one that was sent before them. */
  #held: QueryEvent[] = []

  constructor(write: (event: QueryEvent) => void) {
    this.#write = write
  }

  start(event: QueryEvent): void {
    this.#open.add(event)
  }

  end(event: QueryEvent): void {
    this.#open.delete(event)
    this.#held.push(event)
    const due = this.#held.filter((held) => !this.#mustWait(held))
    this.#held = this.#held.filter((held) => !due.includes(held))
    for (const each of due.toSorted(bySending)) this.#write(each)
  }

  #mustWait(event: QueryEvent): boolean {
    for (const other of this.#open) if (isBefore(other, event)) return true
    return false
  }
}

function isBefore(one: QueryEvent, other: QueryEvent): boolean {
  if (one.connection === undefined || one.connection !== other.connection) return false
  return bySending(one, other) < 0
}

function bySending(one: QueryEvent, other: QueryEvent): number {
  return (one.seq ?? 0) - (other.seq ?? 0)
}
