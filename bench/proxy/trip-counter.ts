const QUERY = 'Q'.charCodeAt(0)
const SYNC = 'S'.charCodeAt(0)

/**
 * Counts the round trips in the bytes of a client: each simple Query and each Sync asks the server for an
 * answer.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class TripCounter {
  trips = 0
  #head: number[] = []
  /** The number of bytes until the end of the current message. */
  #body = 0
  /** The first message has a length, but no type byte. */
  #started = false

  read(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#body > 0) {
        const passed = Math.min(this.#body, chunk.length - at)
        this.#body -= passed
        at += passed
      } else this.#readHead(chunk[at++] ?? 0)
    }
  }

  #readHead(byte: number): void {
    this.#head.push(byte)
    if (this.#head.length < (this.#started ? 5 : 4)) return
    const [type] = this.#head
    if (this.#started && (type === QUERY || type === SYNC)) this.trips++
    this.#body = Buffer.from(this.#head.slice(-4)).readUInt32BE() - 4
    this.#head = []
    this.#started = true
  }
}
