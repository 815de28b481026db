import { perClass } from './per-class.ts'
import type { BindMessage, PgConnection, PgQuery, QueryClass, QueryConfig } from './pg.ts'

/** A query that takes control statements with it, in front of itself and before one Sync. */
export interface Flight extends PgQuery {
  /** The control statements, set before it is sent. */
  riders: readonly string[]
  /** How many control statements the server has taken. The next one is what failed, if one did. */
  readonly landed: number
  /** Called when it is about to be written: it is not refused any more. */
  onWrite: (() => void) | undefined
  /** Whether anything was written. A query that is refused before leaves its riders behind. */
  readonly written: boolean
}

type FlightClass = new (config: unknown, values?: unknown) => Flight

/**
 * The class of flights for a client: it extends the client's own `pg.Query`, since a client in
 * pipeline mode refuses any other.
 *
 * If a control statement fails, the server skips everything up to the Sync, so the query can not
 * run outside the transaction that was meant for it.
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export const flightClass = perClass(extend)

function extend(Query: QueryClass): FlightClass {
  return class extends Query implements Flight {
    declare landed: number
    declare written: boolean
    declare onWrite: (() => void) | undefined
    declare riders: readonly string[]
    /** The query's own name. Hidden while riders are answered: the client would book their ParseComplete on it. */
    declare ownName: string | undefined

    /** The client reads it from what it is given to send. */
    declare query_timeout: number | undefined

    constructor(config: unknown, values?: unknown) {
      super(config, values)
      this.query_timeout = (config as QueryConfig | undefined)?.query_timeout
      this.riders = []
      this.landed = 0
      this.written = false
      this.onWrite = undefined
    }

    override get name(): string | undefined {
      return this.riders === undefined || this.landed === this.riders.length
        ? this.ownName
        : undefined
    }

    override set name(name: string | undefined) {
      this.ownName = name
    }

    override requiresPreparation(): boolean {
      return this.riders.length > 0 || super.requiresPreparation()
    }

    override submit(connection: PgConnection): Error | null {
      // Names are checked and values serialised before anything is written: if that fails, nothing
      // was sent, and the control statements can ride with another query.
      this.landed = this.riders.length
      const recorder = new Recorder(connection)
      const refusal = super.submit(recorder as unknown as PgConnection) ?? recorder.failure
      this.landed = 0
      if (refusal) return refusal

      this.onWrite?.()
      this.written = true
      connection.stream.cork?.()
      try {
        for (const text of this.riders) {
          connection.parse({ text })
          connection.bind({})
          connection.execute({})
        }
        recorder.replay(connection)
      } finally {
        connection.stream.uncork?.()
      }
      return null
    }

    override handleCommandComplete(message: unknown, connection: PgConnection): void {
      if (this.landed < this.riders.length) this.landed++
      else super.handleCommandComplete(message, connection)
    }

    override handleError(error: unknown, connection: PgConnection): void {
      // pg's query reports a value that it can not serialise itself, and `submit` does so again
      if (connection instanceof Recorder) return
      // The client forgets the name of a query that fails, but could not see the one of this query.
      if (this.landed < this.riders.length && this.ownName !== undefined) {
        delete connection.submittedNamedStatements[this.ownName]
      }
      super.handleError(error, connection)
    }

    override handleCopyInResponse(connection: PgConnection): void {
      super.handleCopyInResponse(connection)
      if (!this.requiresPreparation()) return
      // The server ignored the Sync that came while it waited for data, and waits for another.
      connection.sync()
    }
  }
}

type Message = (connection: PgConnection) => void

/** Stands in for the connection while a query writes itself, and keeps what it wrote. */
class Recorder {
  readonly stream = {}
  readonly parsedStatements: Record<string, string>
  readonly submittedNamedStatements: Record<string, string>
  /** Why the values could not be serialised. */
  failure: Error | null = null
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
    this.#messages.push((connection) => connection.execute(message))
  }

  flush(): void {
    this.#messages.push((connection) => connection.flush())
  }

  sync(): void {
    this.#messages.push((connection) => connection.sync())
  }

  close(): void {
    // only written after a failed bind, when nothing of this is sent
  }

  replay(connection: PgConnection): void {
    Object.assign(this.#submitted, this.submittedNamedStatements)
    for (const message of this.#messages) message(connection)
  }
}
