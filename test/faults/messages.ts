/** The sender: the client or the server. */
type Side = 'frontend' | 'backend'

/** One message of the protocol between a client and the server. */
export interface Message {
  readonly side: Side
  /** The type byte. The first message of a client has none. */
  readonly type: string
  /** The SQL of Parse and Query, the values of Bind, the tag of CommandComplete and of the ReadyForQuery behind it. */
  readonly text: string
  readonly bytes: Buffer
}

/** Whether this is the expected message. */
export type Moment = (message: Message) => boolean

/** The client sends that SQL, in a Parse or in a simple Query. */
export function sends(sql: string): Moment {
  return ({ side, type, text }) =>
    side === 'frontend' && (type === 'P' || type === 'Q') && text === sql
}

/** The client sends that value, in a Bind. */
export function binds(value: string): Moment {
  return ({ side, type, text }) => side === 'frontend' && type === 'B' && text === value
}

/** The client asks the server to cancel the statement of another connection. */
export function asksToCancel({ side, type, bytes }: Message): boolean {
  return side === 'frontend' && type === '' && bytes.readUInt32BE(4) === 80_877_102
}

/** The server reports that a command is complete. */
export function completes(tag: string): Moment {
  return ({ side, type, text }) => side === 'backend' && type === 'C' && text === tag
}

/** The server is ready for the next round trip, after that command. */
export function isReadyAfter(tag: string): Moment {
  return ({ side, type, text }) => side === 'backend' && type === 'Z' && text === tag
}

/**
 * Splits the bytes of one side into messages.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class MessageReader {
  readonly #side: Side
  #bytes = Buffer.alloc(0)
  /** The first message of a client has a length, but no type. */
  #started: boolean
  #tag = ''

  constructor(side: Side) {
    this.#side = side
    this.#started = side === 'backend'
  }

  /** Returns the messages that these bytes complete. */
  read(chunk: Buffer): Message[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const messages: Message[] = []
    for (;;) {
      const head = this.#started ? 1 : 0
      if (this.#bytes.length < head + 4) return messages
      const end = head + this.#bytes.readUInt32BE(head)
      if (this.#bytes.length < end) return messages
      const bytes = this.#bytes.subarray(0, end)
      this.#bytes = this.#bytes.subarray(end)
      const type = this.#started ? String.fromCharCode(bytes[0] ?? 0) : ''
      this.#started = true
      messages.push({ side: this.#side, type, text: this.#textOf(type, bytes.subarray(5)), bytes })
    }
  }

  #textOf(type: string, body: Buffer): string {
    if (this.#side === 'frontend') {
      if (type === 'Q') return stringsOf(body)[0] ?? ''
      if (type === 'P') return stringsOf(body)[1] ?? ''
      return type === 'B' ? valuesOf(body).join() : ''
    }
    if (type === 'C') this.#tag = stringsOf(body)[0] ?? ''
    return type === 'C' || type === 'Z' ? this.#tag : ''
  }
}

function stringsOf(body: Buffer): string[] {
  return body.toString('utf8').split('\0')
}

/** Reads the values of a Bind, which follow two names and a list of formats. */
function valuesOf(body: Buffer): string[] {
  let at = body.indexOf(0, body.indexOf(0) + 1) + 1
  at += 2 + 2 * body.readUInt16BE(at)
  const values: string[] = []
  const count = body.readUInt16BE(at)
  at += 2
  while (values.length < count) {
    const length = body.readInt32BE(at)
    at += 4
    values.push(length < 0 ? 'null' : body.toString('utf8', at, at + length))
    at += Math.max(length, 0)
  }
  return values
}
