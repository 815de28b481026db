import type { BindMessage, PgConnection } from './pg.ts'

/** A call of a method of the connection, which needs no answer before the next. */
interface RecordedMessage {
  readonly kind: 'parse' | 'bind' | 'query' | 'describe' | 'execute'
  readonly message: unknown
}

/** A position in a recording. */
interface Mark {
  readonly messages: number
  readonly names: number
}

const NO_STREAM = {}

/**
 * Takes the place of the connection while queries write themselves. What cannot be serialised is
 * found out before anything is sent.
 */
export class MessageRecorder {
  readonly stream = NO_STREAM
  readonly parsedStatements: Record<string, string>
  /** Inherits from that of the connection, so that its own properties are the new names. */
  readonly submittedNamedStatements: Record<string, string>
  /** Why the last query could not be written. */
  failure: Error | null = null
  /** Whether there must be a Sync at the end. */
  isExtended = false
  readonly #messages: RecordedMessage[] = []
  /** The names that are prepared in it. */
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
    // pg would throw while it writes, behind messages of other queries.
    else if (name !== undefined)
      this.failure = new TypeError('the name of a query must be a string')
    this.#messages.push({ kind: 'parse', message })
  }

  bind(message: BindMessage): void {
    try {
      const values = message.values?.map((value, at) => message.valueMapper?.(value, at) ?? null)
      // pg calls the mapper without asking whether there is one. It leaves mapped values as they are.
      this.#messages.push({ kind: 'bind', message: { ...message, values } })
    } catch (error) {
      this.failure = reasonOf(error) as Error
      throw error
    }
  }

  query(text: string): void {
    this.#messages.push({ kind: 'query', message: text })
  }

  describe(message: object): void {
    this.#messages.push({ kind: 'describe', message })
  }

  execute(message: object): void {
    this.isExtended = true
    this.#messages.push({ kind: 'execute', message })
  }

  /** Does nothing: there is one Sync, behind all messages. */
  flush(): void {}

  /** Does nothing: there is one Sync, behind all messages. */
  sync(): void {}

  /** Does nothing: pg only calls it after a failed bind, and then nothing of this query is sent. */
  close(): void {}

  /** The position now, for {@link reset}. */
  mark(): Mark {
    return { messages: this.#messages.length, names: this.#names.length }
  }

  /** Discards what was written since. */
  reset({ messages, names }: Mark): void {
    this.#messages.length = messages
    for (const name of this.#names.splice(names)) delete this.submittedNamedStatements[name]
    this.failure = null
  }

  /** The texts of the names that are prepared in it. */
  get prepared(): Readonly<Record<string, string>> | undefined {
    return this.#names.length === 0 ? undefined : this.submittedNamedStatements
  }

  /** Writes it to the connection. */
  replay(connection: PgConnection): void {
    if (this.#names.length > 0) {
      Object.assign(connection.submittedNamedStatements, this.submittedNamedStatements)
    }
    for (const { kind, message } of this.#messages) connection[kind](message as never)
  }
}

/** The reason for which a value could not be serialised. A falsy one would be taken for a success. */
export function reasonOf(thrown: unknown): unknown {
  if (thrown) return thrown
  return new TypeError(`a value of the query could not be serialised: ${String(thrown)} was thrown`)
}
