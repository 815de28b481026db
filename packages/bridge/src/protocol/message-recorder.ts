import type { BindMessage, PgConnection } from './pg.ts'

/** What a query writes that needs no answer before the next. */
type Kind = 'parse' | 'bind' | 'query' | 'describe' | 'execute'

/** How far a recorder had come. */
interface Mark {
  readonly messages: number
  readonly names: number
}

const NO_STREAM = {}

/** Stands in for the connection while queries write themselves, and keeps what they wrote. */
export class MessageRecorder {
  readonly stream = NO_STREAM
  readonly parsedStatements: Record<string, string>
  /** What it has of its own is new. */
  readonly submittedNamedStatements: Record<string, string>
  /** Why values could not be serialised. */
  failure: Error | null = null
  /** Whether it ends with a Sync. */
  isExtended = false
  readonly #kinds: Kind[] = []
  readonly #messages: unknown[] = []
  /** The names that are new in it. */
  readonly #names: string[] = []

  /** `named`: whether any of the queries has a name. */
  constructor({ parsedStatements, submittedNamedStatements }: PgConnection, named: boolean) {
    this.parsedStatements = parsedStatements
    this.submittedNamedStatements = named
      ? (Object.create(submittedNamedStatements) as Record<string, string>)
      : submittedNamedStatements
  }

  parse(message: { readonly name?: unknown }): void {
    const { name } = message
    if (typeof name === 'string') this.#names.push(name)
    // nothing may fail once others are written
    else if (name !== undefined)
      this.failure = new TypeError('the name of a query must be a string')
    this.#keep('parse', message)
  }

  bind(message: BindMessage): void {
    try {
      const values = message.values?.map((value, at) => message.valueMapper?.(value, at) ?? null)
      // the mapper stays: on what it has mapped it has no effect, and pg calls it without asking
      this.#keep('bind', { ...message, values })
    } catch (error) {
      this.failure = reasonOf(error) as Error
      throw error
    }
  }

  query(text: string): void {
    this.#keep('query', text)
  }

  describe(message: object): void {
    this.#keep('describe', message)
  }

  execute(message: object): void {
    this.isExtended = true
    this.#keep('execute', message)
  }

  /** There is one Sync, behind all. */
  flush(): void {}

  sync(): void {}

  close(): void {
    // only written after a failed bind, when nothing of this is sent
  }

  #keep(kind: Kind, message: unknown): void {
    this.#kinds.push(kind)
    this.#messages.push(message)
  }

  /** Remembers how far it has come, for {@link reset}. */
  mark(): Mark {
    return { messages: this.#messages.length, names: this.#names.length }
  }

  /** Forgets what was written since. */
  reset({ messages, names }: Mark): void {
    this.#kinds.length = messages
    this.#messages.length = messages
    for (const name of this.#names.splice(names)) delete this.submittedNamedStatements[name]
    this.failure = null
  }

  /** The texts of the names that are new in it. */
  get prepared(): Readonly<Record<string, string>> | undefined {
    return this.#names.length === 0 ? undefined : this.submittedNamedStatements
  }

  replay(connection: PgConnection): void {
    if (this.#names.length > 0) {
      Object.assign(connection.submittedNamedStatements, this.submittedNamedStatements)
    }
    this.#kinds.forEach((kind, at) => connection[kind](this.#messages[at] as never))
  }
}

/** What was thrown for a value. Where that is falsy, nobody would take it for a failure. */
export function reasonOf(thrown: unknown): unknown {
  if (thrown) return thrown
  return new TypeError(`a value of the query could not be serialised: ${String(thrown)} was thrown`)
}
