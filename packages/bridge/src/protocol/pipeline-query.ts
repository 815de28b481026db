import { setImmediate } from 'node:timers'
import { StatementSkippedError } from '../errors.ts'
import { baseQueryClass } from './base-query.ts'
import { writeCommands } from './control-messages.ts'
import { MessageRecorder } from './message-recorder.ts'
import { perClass } from './per-class.ts'
import { isServerError, type PgConnection, type PgQuery, type QueryClass } from './pg.ts'

/** A query with commands in front of it and other queries behind it, before one Sync. */
export interface PipelineQuery extends PgQuery {
  /** The commands in front, set before it is sent. */
  deferred: readonly { readonly sql: string }[]
  /** The queries behind, set before it is sent. Those that cannot be written are removed. */
  others: readonly PgQuery[]
  /** Nothing is sent unless all of it can be. */
  isWhole: boolean
  /** How many commands and queries the server has completed. The next one is what failed, if one did. */
  completed: number
  /** The tag of the first command that the server has completed. */
  readonly firstTag: string | undefined
  /** Called just before it is written. If it returns an error, nothing is. */
  onWrite: (() => Error | undefined) | undefined
  /** Whether anything was written. */
  readonly written: boolean
  /** Rejects the others, which do not run because this query did not. */
  skipOthers(cause: unknown, connection: PgConnection): void
}

type PipelineQueryClass = new (config: unknown, values?: unknown) => PipelineQuery

/**
 * The class of pipeline queries. If a part fails, the server skips everything up to the Sync, so no
 * query runs outside its transaction, or behind an error.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export const pipelineQueryClass = perClass(extend)

// oxlint-disable-next-line max-lines-per-function -- It holds a class.
function extend(Query: QueryClass): PipelineQueryClass {
  return class extends baseQueryClass(Query) implements PipelineQuery {
    declare completed: number
    declare written: boolean
    declare firstTag: string | undefined
    declare onWrite: PipelineQuery['onWrite']
    declare isWhole: boolean
    /** Why one of the others could not be written. */
    declare refusal: Error | undefined
    declare deferred: PipelineQuery['deferred']
    declare others: readonly PgQuery[]
    /** Which of the others is being answered. */
    declare other: PgQuery | undefined
    /** The name of what is being answered: the client records under it what was parsed. */
    declare name: string | undefined
    declare ownName: string | undefined
    declare text: string
    /** The texts of the names that are prepared by it. */
    declare prepared: Readonly<Record<string, string>> | undefined

    constructor(config: unknown, values?: unknown) {
      super(config, values)
      this.ownName = this.name
      this.deferred = []
      this.others = []
      this.other = undefined
      this.isWhole = false
      this.refusal = undefined
      this.prepared = undefined
      this.completed = 0
      this.firstTag = undefined
      this.written = false
      this.onWrite = undefined
    }

    override requiresPreparation(): boolean {
      return this.deferred.length + this.others.length > 0 || super.requiresPreparation()
    }

    override submit(connection: PgConnection): Error | null {
      // Names are checked and values serialised before anything is written. If that fails, the
      // deferred commands can be sent with another query.
      // Without a preparation of its own its answer would come as text.
      if (!super.requiresPreparation()) this.binary = false
      const isNamed = this.ownName !== undefined || this.others.some(hasName)
      const recorder = new MessageRecorder(connection, isNamed)
      const refusal = super.submit(recorder as unknown as PgConnection) ?? recorder.failure
      if (refusal) return refusal
      this.others = this.others.filter((query) => this.#accepts(query, connection, recorder))
      if (this.isWhole && this.refusal) return this.refusal
      const objection = this.onWrite?.()
      if (objection) return objection
      this.prepared = recorder.prepared
      if (this.deferred.length > 0) this.name = undefined

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

    /** Records another query. One that cannot be written fails alone. */
    #accepts(query: PgQuery, connection: PgConnection, recorder: MessageRecorder): boolean {
      const mark = recorder.mark()
      const refusal = query.submit(recorder as unknown as PgConnection) ?? recorder.failure
      if (!refusal) return true
      recorder.reset(mark)
      this.refusal ??= refusal
      query.handleError(refusal, connection)
      return false
    }

    /** The server has completed a command or query: the next one is being answered. */
    #complete(): void {
      const at = ++this.completed - this.deferred.length
      this.other = at > 0 ? this.others[at - 1] : undefined
      this.name = at === 0 ? this.ownName : this.other?.name
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
      this.firstTag ??= (message as { text?: string }).text
      if (this.other !== undefined) this.other.handleCommandComplete(message, connection)
      else if (this.completed === this.deferred.length) {
        super.handleCommandComplete(message, connection)
      }
      this.#complete()
    }

    override handleEmptyQuery(): void {
      this.#complete()
    }

    override handleReadyForQuery(connection: PgConnection): void {
      this.#recordTexts(connection)
      for (const query of this.#takeOthers()) query.handleReadyForQuery(connection)
      super.handleReadyForQuery(connection)
    }

    override handleError(error: unknown, connection: PgConnection): void {
      // pg's query reports a value that it cannot serialise, and `submit` does so again.
      if (connection instanceof MessageRecorder) return
      if (!this.written) return this.#refuse(error, connection)
      this.#recordTexts(connection)
      // If COMMIT is among them and all are complete, nothing can be lost any more.
      const all = this.deferred.length + 1 + this.others.length
      if (this.isWhole && this.completed === all) return this.handleReadyForQuery(connection)
      const failed = this.#failedQuery(error)
      if (failed === 0 && this.ownName !== undefined) {
        // The client deletes a name that fails, but this one may stand behind a command.
        delete connection.submittedNamedStatements[this.ownName]
      }
      this.#failOthers(failed, error, connection)
      if (failed === 0) super.handleError(error, connection)
      else super.handleReadyForQuery(connection)
    }

    /**
     * Which of the queries has failed: 0 for its own, also if it was skipped behind a command. With
     * the connection all of them are lost, since nobody knows what became of the complete ones.
     */
    #failedQuery(error: unknown): number {
      return isServerError(error) ? Math.max(this.completed - this.deferred.length, 0) : 0
    }

    #failOthers(failed: number, error: unknown, connection: PgConnection): void {
      const skipped: PgQuery[] = []
      this.#takeOthers().forEach((query, index) => {
        const at = index + 1
        if (at < failed) return query.handleReadyForQuery(connection)
        if (query.name !== undefined) delete connection.submittedNamedStatements[query.name]
        if (at > failed && isServerError(error)) skipped.push(query)
        else query.handleError(error, connection)
      })
      // The others reject a turn later, however the first error travels through a layer, so that
      // `Promise.all` rejects with the first error.
      if (skipped.length > 0) setImmediate(skip, skipped, error, connection)
    }

    /** Nothing was sent. The others are only rejected if they must not be sent without this query. */
    #refuse(error: unknown, connection: PgConnection): void {
      if (!this.isWhole) return super.handleError(error, connection)
      this.skipOthers(error, connection)
      const isOwn = this.refusal === undefined
      super.handleError(isOwn ? error : new StatementSkippedError(this.text, error), connection)
    }

    skipOthers(cause: unknown, connection: PgConnection): void {
      skip(this.#takeOthers(), cause, connection)
    }

    /** The client has recorded each name that was parsed with the text of this query. */
    #recordTexts({ parsedStatements }: PgConnection): void {
      if (this.prepared === undefined) return
      for (const [name, text] of Object.entries(this.prepared)) {
        if (Object.hasOwn(parsedStatements, name)) parsedStatements[name] = text
      }
    }

    /** The others, so that each is settled once. */
    #takeOthers(): readonly PgQuery[] {
      const { others } = this
      this.others = []
      return others
    }

    override handleCopyInResponse(connection: PgConnection): void {
      super.handleCopyInResponse(connection)
      // The server has ignored the Sync that came while it waited for data, and waits for another.
      if (this.requiresPreparation()) connection.sync()
    }
  }
}

function hasName({ name }: PgQuery): boolean {
  return name !== undefined
}

function skip(queries: readonly PgQuery[], cause: unknown, connection: PgConnection): void {
  for (const query of queries) {
    query.handleError(new StatementSkippedError(query.text ?? '', cause), connection)
  }
}
