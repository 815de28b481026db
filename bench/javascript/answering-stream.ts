import { Duplex } from 'node:stream'

const AUTHENTICATED = message('R', [0, 0, 0, 0])
const PARSED = message('1')
const BOUND = message('2')
const NO_DATA = message('n')

/** The effect of a statement, and the server's answer. */
interface Command {
  readonly complete: Buffer
  /** The transaction status afterwards; undefined if it does not change. */
  readonly status?: 'I' | 'T'
}

const COMMANDS: { readonly [word: string]: Command } = {
  begin: { complete: message('C', text('BEGIN')), status: 'T' },
  start: { complete: message('C', text('START TRANSACTION')), status: 'T' },
  commit: { complete: message('C', text('COMMIT')), status: 'I' },
  rollback: { complete: message('C', text('ROLLBACK')), status: 'I' },
  savepoint: { complete: message('C', text('SAVEPOINT')) },
  release: { complete: message('C', text('RELEASE')) },
  insert: { complete: message('C', text('INSERT 0 1')) },
}

/**
 * A connection to a server inside the process that knows only the statements of the benchmark. It takes
 * hardly any time, so the measurement covers the client code.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class AnsweringStream extends Duplex {
  readonly #known = new Map<string, Command>()
  /** The texts of prepared statements, by name. */
  readonly #prepared = new Map<string, Command>()
  #bound: Command | undefined
  #status: 'I' | 'T' = 'I'
  #isStarted = false
  #answers: Buffer[] = []

  connect(): this {
    setImmediate(() => this.emit('connect'))
    return this
  }

  // pg calls these methods of a socket.
  setNoDelay(): void {}
  setKeepAlive(): void {}
  ref(): void {}
  unref(): void {}

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#receive(chunk)
    done()
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    for (const { chunk } of chunks) this.#receive(chunk)
    done()
  }

  override _final(done: () => void): void {
    this.push(null)
    done()
  }

  /** Reads whole messages, since pg never writes a part of one. */
  #receive(chunk: Buffer): void {
    let at = 0
    if (!this.#isStarted) {
      this.#isStarted = true
      at = chunk.readUInt32BE()
      this.#answer(AUTHENTICATED)
      this.#sayReady()
    }
    while (at < chunk.length) {
      const end = at + 1 + chunk.readUInt32BE(at + 1)
      this.#obey(String.fromCharCode(chunk[at] ?? 0), chunk.subarray(at + 5, end))
      at = end
    }
  }

  #obey(type: string, body: Buffer): void {
    switch (type) {
      case 'Q':
        this.#run(this.#commandOf(textAt(body, 0)))
        return this.#sayReady()
      case 'P':
        return this.#prepare(body)
      case 'B':
        this.#bound = this.#prepared.get(textAt(body, body.indexOf(0) + 1))
        return this.#answer(BOUND)
      case 'D':
        return this.#answer(NO_DATA)
      case 'E':
        return this.#run(this.#bound)
      case 'S':
        return this.#sayReady()
      case 'X':
        return
      default:
        throw new Error(`the server inside the process knows no message ${type}`)
    }
  }

  #prepare(body: Buffer): void {
    const name = textAt(body, 0)
    this.#prepared.set(name, this.#commandOf(textAt(body, Buffer.byteLength(name) + 1)))
    this.#answer(PARSED)
  }

  #commandOf(sql: string): Command {
    let command = this.#known.get(sql)
    if (command !== undefined) return command
    command = COMMANDS[/^\w+/.exec(sql)?.[0].toLowerCase() ?? '']
    if (command === undefined) throw new Error(`the server inside the process cannot run ${sql}`)
    this.#known.set(sql, command)
    return command
  }

  #run(command: Command | undefined): void {
    if (command === undefined) throw new Error('nothing is bound')
    this.#status = command.status ?? this.#status
    this.#answer(command.complete)
  }

  #sayReady(): void {
    this.#answer(READY[this.#status])
  }

  /** All answers of one turn of the event loop arrive together in the next turn. */
  #answer(answer: Buffer): void {
    if (this.#answers.push(answer) === 1) setImmediate(this.#deliver)
  }

  readonly #deliver = (): void => {
    const answers = this.#answers
    this.#answers = []
    this.push(Buffer.concat(answers))
  }
}

const READY = { I: message('Z', text('I', false)), T: message('Z', text('T', false)) }

function message(type: string, body: readonly number[] = []): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, Buffer.from(body)])
}

function text(value: string, isTerminated = true): number[] {
  return [...Buffer.from(value), ...(isTerminated ? [0] : [])]
}

function textAt(body: Buffer, start: number): string {
  return body.toString('utf8', start, body.indexOf(0, start))
}
