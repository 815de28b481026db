import { setImmediate } from 'node:timers'
import { StatementSkippedError } from '../errors.ts'
import { writeCommands } from './control-messages.ts'
import { perClass } from './per-class.ts'
import {
  isServerError,
  type PgConnection,
  type PgQuery,
  type QueryClass,
  type QueryConfig,
} from './pg.ts'
import { MessageRecorder } from './message-recorder.ts'

/** A query that takes control statements with it in front, and other queries behind, before one Sync. */
export interface PipelineQuery extends PgQuery {
  /** The control statements, set before it is sent. */
  deferred: readonly string[]
  /** The queries behind it, set before it is sent. */
  others: readonly PgQuery[]
  /** Whether all of it is sent, or nothing. */
  isWhole: boolean
  /** How many of all these the server has taken. The next one is what failed, if one did. */
  completed: number
  /** Called when it is about to be written: it is not refused any more. */
  onWrite: (() => void) | undefined
  /** Whether anything was written. A query that is refused before leaves all the others behind. */
  readonly written: boolean
  /** Tells the others that they will not run, since this one did not. */
  skipOthers(cause: unknown, connection: PgConnection): void
}

type PipelineQueryClass = new (config: unknown, values?: unknown) => PipelineQuery

/**
 * The class of flights for a client: it extends the client's own `pg.Query`, since a client in
 * pipeline mode refuses any other.
 *
 * If one of them fails, the server skips everything up to the Sync, so no query can run outside the
 * transaction that was meant for it, or behind an error.
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export const pipelineQueryClass = perClass(extend)

function extend(Query: QueryClass): PipelineQueryClass {
  return class extends Query implements PipelineQuery {
    declare completed: number
    declare written: boolean
    declare onWrite: (() => void) | undefined
    declare isWhole: boolean
    declare failure: unknown
    /** Why one of the others could not be sent, and so none was. */
    declare refusal: Error | undefined
    declare deferred: readonly string[]
    declare others: readonly PgQuery[]
    /** Which of the others is answered now. */
    declare other: PgQuery | undefined
    /** Its own name: the client books what is parsed on that of the query that is answered. */
    declare ownName: string | undefined
    declare text: string
    /** The texts of the names that are new in it. */
    declare prepared: Readonly<Record<string, string>> | undefined

    /** The client reads it from what it is given to send. */
    declare query_timeout: number | undefined

    constructor(config: unknown, values?: unknown) {
      super(config, values)
      this.query_timeout = (config as QueryConfig | undefined)?.query_timeout
      this.deferred = []
      this.others = []
      this.other = undefined
      this.isWhole = false
      this.refusal = undefined
      this.prepared = undefined
      this.completed = 0
      this.written = false
      this.onWrite = undefined
    }

    get #isOwnTurn(): boolean {
      return this.deferred === undefined || this.completed === this.deferred.length
    }

    override get name(): string | undefined {
      return this.#isOwnTurn ? this.ownName : this.other?.name
    }

    override set name(name: string | undefined) {
      this.ownName = name
    }

    override requiresPreparation(): boolean {
      return this.deferred.length + this.others.length > 0 || super.requiresPreparation()
    }

    override submit(connection: PgConnection): Error | null {
      // Names are checked and values serialised before anything is written: if that fails, nothing
      // was sent, and the control statements can ride with another query.
      this.completed = this.deferred.length
      // what needs no preparation alone is answered as text
      if (!super.requiresPreparation()) this.binary = false
      const isNamed = this.ownName !== undefined || this.others.some(hasName)
      const recorder = new MessageRecorder(connection, isNamed)
      const refusal = super.submit(recorder as unknown as PgConnection) ?? recorder.failure
      this.completed = 0
      if (refusal) return refusal
      this.others = this.others.filter((query) => this.#accepts(query, connection, recorder))
      if (this.isWhole && this.refusal) return this.refusal
      this.prepared = recorder.prepared

      this.onWrite?.()
      this.written = true
      connection.stream.cork?.()
      try {
        writeCommands(connection, this.deferred)
        recorder.replay(connection)
        if (recorder.isExtended) connection.sync()
      } finally {
        connection.stream.uncork?.()
      }
      return null
    }

    /** Whether another query can be sent. One that can not is told so, alone. */
    #accepts(query: PgQuery, connection: PgConnection, recorder: MessageRecorder): boolean {
      const mark = recorder.mark()
      const refusal = query.submit(recorder as unknown as PgConnection) ?? recorder.failure
      if (!refusal) return true
      recorder.reset(mark)
      this.refusal ??= refusal
      query.handleError(refusal, connection)
      return false
    }

    /** The server has done with one: the next is answered from now on. */
    #complete(): void {
      this.completed++
      this.other = this.others[this.completed - this.deferred.length - 1]
    }

    override handleRowDescription(message: unknown, connection: PgConnection): void {
      if (this.other === undefined) super.handleRowDescription(message, connection)
      else this.other.handleRowDescription(message, connection)
    }

    override handleDataRow(message: unknown, connection: PgConnection): void {
      if (this.other === undefined) super.handleDataRow(message, connection)
      else this.other.handleDataRow(message, connection)
    }

    override handleCommandComplete(message: unknown, connection: PgConnection): void {
      if (this.#isOwnTurn) super.handleCommandComplete(message, connection)
      else this.other?.handleCommandComplete(message, connection)
      this.#complete()
    }

    override handleEmptyQuery(): void {
      this.#complete()
    }

    override handleReadyForQuery(connection: PgConnection): void {
      this.#bookTexts(connection)
      for (const query of this.#takeOthers()) query.handleReadyForQuery(connection)
      super.handleReadyForQuery(connection)
    }

    override handleError(error: unknown, connection: PgConnection): void {
      // pg's query reports a value that it can not serialise itself, and `submit` does so again
      if (connection instanceof MessageRecorder) return
      if (!this.written) return this.#refuse(error, connection)
      this.#bookTexts(connection)
      // with COMMIT among them nothing can be lost any more
      const all = this.deferred.length + 1 + this.others.length
      if (this.isWhole && this.completed === all) return this.handleReadyForQuery(connection)
      // Which of the queries failed: 0 for its own, also where that was skipped behind a rider. If the
      // connection is gone, all have: nobody knows what became of those that were complete.
      const isTold = isServerError(error)
      const failed = isTold ? Math.max(this.completed - this.deferred.length, 0) : 0
      const isOwn = failed === 0
      if (isOwn) this.failure = error
      if (isOwn && this.ownName !== undefined) {
        // the client forgets a name that fails, but could not see this one behind a rider
        delete connection.submittedNamedStatements[this.ownName]
      }
      const skipped: PgQuery[] = []
      this.#takeOthers().forEach((query, index) => {
        const at = index + 1
        if (at < failed) return query.handleReadyForQuery(connection)
        if (query.name !== undefined) delete connection.submittedNamedStatements[query.name]
        if (isTold && at > failed) skipped.push(query)
        else query.handleError(error, connection)
      })
      // The first error is the error: who waits for all of them hears of that first, whatever way the
      // answer has through a layer.
      if (skipped.length > 0) setImmediate(tellSkipped, skipped, error, connection)
      if (isOwn) super.handleError(error, connection)
      else super.handleReadyForQuery(connection)
    }

    /** Nothing was sent. The others are told only where they are not to be sent without it. */
    #refuse(error: unknown, connection: PgConnection): void {
      if (!this.isWhole) return super.handleError(error, connection)
      this.skipOthers(error, connection)
      const isOwn = this.refusal === undefined
      super.handleError(isOwn ? error : new StatementSkippedError(this.text, error), connection)
    }

    skipOthers(cause: unknown, connection: PgConnection): void {
      tellSkipped(this.#takeOthers(), cause, connection)
    }

    /** The client has booked each name that was parsed, but on the text of this query. */
    #bookTexts({ parsedStatements }: PgConnection): void {
      if (this.prepared === undefined) return
      for (const [name, text] of Object.entries(this.prepared)) {
        if (Object.hasOwn(parsedStatements, name)) parsedStatements[name] = text
      }
    }

    /** The others, each of which is told once. */
    #takeOthers(): readonly PgQuery[] {
      const { others } = this
      this.others = []
      return others
    }

    override handleCopyInResponse(connection: PgConnection): void {
      super.handleCopyInResponse(connection)
      // The server ignored the Sync that came while it waited for data, and waits for another.
      if (this.requiresPreparation()) connection.sync()
    }
  }
}

function hasName({ name }: PgQuery): boolean {
  return name !== undefined
}

function tellSkipped(queries: readonly PgQuery[], cause: unknown, connection: PgConnection): void {
  for (const query of queries) {
    query.handleError(new StatementSkippedError(query.text ?? '', cause), connection)
  }
}
