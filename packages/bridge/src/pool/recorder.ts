import type { BindMessage, PgConnection } from './pg.ts'

type Message = (connection: PgConnection) => void

/** How far a recorder had come. */
interface Mark {
  readonly messages: number
  readonly names: number
}

/** Stands in for the connection while queries write themselves, and keeps what they wrote. */
export class Recorder {
  readonly stream = {}
  readonly parsedStatements: Record<string, string>
  readonly submittedNamedStatements: Record<string, string>
  /** Why values could not be serialised. */
  failure: Error | null = null
  /** Whether it ends with a Sync. */
  isExtended = false
  readonly #messages: Message[] = []
  /** The names that are new in it. */
  readonly #names: string[] = []
  readonly #submitted: Record<string, string>

  constructor(connection: PgConnection) {
    this.parsedStatements = connection.parsedStatements
    this.#submitted = connection.submittedNamedStatements
    this.submittedNamedStatements = { ...this.#submitted }
  }

  parse(message: { readonly name?: unknown }): void {
    const { name } = message
    if (typeof name === 'string') this.#names.push(name)
    // nothing may fail once others are written
    else if (name !== undefined)
      this.failure = new TypeError('the name of a query must be a string')
    this.#messages.push((connection) => connection.parse(message))
  }

  bind(message: BindMessage): void {
    let values: unknown[] | undefined
    try {
      values = message.values?.map((value, index) => message.valueMapper?.(value, index) ?? null)
    } catch (error) {
      this.failure = error as Error
      throw error
    }
    // the mapper stays: on what it has mapped it has no effect, and pg calls it without asking
    this.#messages.push((connection) => connection.bind({ ...message, ...(values && { values }) }))
  }

  query(text: string): void {
    this.#messages.push((connection) => connection.query(text))
  }

  describe(message: object): void {
    this.#messages.push((connection) => connection.describe(message))
  }

  execute(message: object): void {
    this.isExtended = true
    this.#messages.push((connection) => connection.execute(message))
  }

  /** There is one Sync, behind all. */
  flush(): void {}

  sync(): void {}

  close(): void {
    // only written after a failed bind, when nothing of this is sent
  }

  /** Remembers how far it has come, for {@link reset}. */
  mark(): Mark {
    return { messages: this.#messages.length, names: this.#names.length }
  }

  /** Forgets what was written since. */
  reset({ messages, names }: Mark): void {
    this.#messages.splice(messages)
    for (const name of this.#names.splice(names)) delete this.submittedNamedStatements[name]
    this.failure = null
  }

  replay(connection: PgConnection): void {
    Object.assign(this.#submitted, this.submittedNamedStatements)
    for (const message of this.#messages) message(connection)
  }
}
