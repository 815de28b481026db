import type { BindMessage, PgConnection } from './pg.ts'

type Message = (connection: PgConnection) => void

/** How far a recorder had come. */
interface Mark {
  readonly messages: number
  readonly names: Record<string, string>
}

/** Stands in for the connection while queries write themselves, and keeps what they wrote. */
export class Recorder {
  readonly stream = {}
  readonly parsedStatements: Record<string, string>
  submittedNamedStatements: Record<string, string>
  /** Why values could not be serialised. */
  failure: Error | null = null
  /** Whether it ends with a Sync. */
  isExtended = false
  readonly #messages: Message[] = []
  readonly #submitted: Record<string, string>

  constructor(connection: PgConnection) {
    this.parsedStatements = connection.parsedStatements
    this.#submitted = connection.submittedNamedStatements
    this.submittedNamedStatements = { ...this.#submitted }
  }

  parse(message: object): void {
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
    return { messages: this.#messages.length, names: { ...this.submittedNamedStatements } }
  }

  /** Forgets what was written since. */
  reset({ messages, names }: Mark): void {
    this.#messages.splice(messages)
    this.submittedNamedStatements = names
    this.failure = null
  }

  replay(connection: PgConnection): void {
    Object.assign(this.#submitted, this.submittedNamedStatements)
    for (const message of this.#messages) message(connection)
  }
}
