import { Socket } from 'node:net'

/** The statements that were sent to the server, read from the bytes, without layers and channels. */
export interface Recorder {
  /** Pass it to a pool as its `stream`. */
  stream(): Socket
  /** The texts of the statements that were sent for execution, in the order of the bytes. */
  statements(): string[]
  /** The number of round trips: of the messages that ask the server for an answer. */
  trips(): number
  clear(): void
}

/** Makes sockets that record the bytes that are written to them. */
export function recorder(): Recorder {
  let statements: string[] = []
  let trips = 0
  return {
    stream() {
      const reader = new FrontendReader(
        (text) => statements.push(text),
        () => trips++,
      )
      return new RecordedSocket((bytes) => reader.read(bytes))
    },
    statements: () => statements,
    trips: () => trips,
    clear: () => {
      statements = []
      trips = 0
    },
  }
}

class RecordedSocket extends Socket {
  readonly #onWrite: (bytes: Buffer) => void

  constructor(onWrite: (bytes: Buffer) => void) {
    super()
    this.#onWrite = onWrite
  }

  override connect(...args: never[]): this {
    super.connect(...(args as unknown as [number, string]))
    // connect() assigns the write() of the base class to the socket itself.
    Reflect.deleteProperty(this, 'write')
    return this
  }

  override write(chunk: Uint8Array | string, ...rest: never[]): boolean {
    this.#onWrite(Buffer.from(chunk as Uint8Array))
    return super.write(chunk, ...rest)
  }
}

/**
 * Reads the messages of a client.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
class FrontendReader {
  readonly #onStatement: (text: string) => void
  readonly #onTrip: () => void
  readonly #prepared = new Map<string, string>()
  readonly #portals = new Map<string, string>()
  #bytes = Buffer.alloc(0)
  /** The first message has a length, but no type. */
  #started = false

  constructor(onStatement: (text: string) => void, onTrip: () => void) {
    this.#onStatement = onStatement
    this.#onTrip = onTrip
  }

  read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    for (;;) {
      const head = this.#started ? 1 : 0
      if (this.#bytes.length < head + 4) return
      const end = head + this.#bytes.readUInt32BE(head)
      if (this.#bytes.length < end) return
      const type = this.#started ? String.fromCharCode(this.#bytes[0] ?? 0) : ''
      const texts = this.#bytes.toString('utf8', head + 4, end).split('\0')
      this.#bytes = this.#bytes.subarray(end)
      this.#started = true
      this.#message(type, texts[0] ?? '', texts[1] ?? '')
    }
  }

  #message(type: string, first: string, second: string): void {
    if (type === 'P') this.#prepared.set(first, second)
    if (type === 'B') this.#portals.set(first, this.#prepared.get(second) ?? '')
    if (type === 'E') {
      const text = this.#portals.get(first)
      // Executing a portal again continues it, so it is no further statement.
      if (text !== undefined) this.#onStatement(text)
      this.#portals.delete(first)
    }
    if (type === 'Q') this.#onStatement(first)
    if (type === 'Q' || type === 'S') this.#onTrip()
  }
}
