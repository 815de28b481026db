import type { Readable } from 'node:stream'
import { ObservedQuery, leftStream } from '../protocol/observed-query.ts'
import { type PipelineQuery, pipelineQueryClass } from '../protocol/pipeline-query.ts'
import { singleQueryClass, pipelinedQueryClass } from '../protocol/single-query.ts'
import {
  acknowledged,
  type PgClient,
  type PgQuery,
  type QueryClass,
  type QueryResult,
  type Submittable,
} from '../protocol/pg.ts'
import { QueueGuard } from '../protocol/copy-guard.ts'
import type { DeferredCommand } from './send-queue.ts'
import type { Statement } from './statement.ts'
import type { QueueEntry } from './queue-entry.ts'

/** Told when control statements leave. Gives back who is told of the landing. */
export type OnDeferredSent = (
  deferred: readonly DeferredCommand[],
) => (completed: number, error?: unknown) => void

/** Told how something went on the wire. */
export type Done = (error: unknown, result?: QueryResult) => void

/** Speaks to the client: one call is one trip. */
export class QuerySender {
  readonly #client: PgClient
  readonly #send: PgClient['query']
  readonly #onDeferredSent: OnDeferredSent
  readonly #putBack: (items: readonly (DeferredCommand | QueueEntry)[]) => void
  readonly #end: (reason: Error) => void
  readonly #settle: (entry: QueueEntry, error: unknown, result?: QueryResult) => void
  readonly #guard: QueueGuard
  /** What keeps the connection to itself until it is done. */
  observed: ObservedQuery | undefined

  /**
   * `settle` is told of the trips that go along with others; `putBack` takes what was refused before
   * anything of it was sent; `end` ends the session.
   */
  constructor(
    client: PgClient,
    send: PgClient['query'],
    onDeferredSent: OnDeferredSent,
    settle: (entry: QueueEntry, error: unknown, result?: QueryResult) => void,
    putBack: (items: readonly (DeferredCommand | QueueEntry)[]) => void,
    end: (reason: Error) => void,
  ) {
    this.#end = end
    this.#client = client
    this.#guard = new QueueGuard(client)
    this.#send = send
    this.#onDeferredSent = onDeferredSent
    this.#settle = settle
    this.#putBack = putBack
  }

  /** What keeps the connection to itself between two of its pages. */
  get stream(): ObservedQuery | undefined {
    return this.observed?.isSuspended ? this.observed : undefined
  }

  /** The client's own class of queries. */
  get queryClass(): QueryClass {
    return (this.#client.constructor as unknown as { Query: QueryClass }).Query
  }

  /** Sends the statement of a trip, with what rides in front of it and what goes along behind it. */
  send(
    entry: QueueEntry,
    deferred: readonly DeferredCommand[],
    others: readonly QueueEntry[],
    done: Done,
  ): void {
    try {
      this.#dispatch(entry, deferred, others, done)
    } catch (error) {
      done(error)
    }
  }

  #dispatch(
    entry: QueueEntry,
    deferred: readonly DeferredCommand[],
    others: readonly QueueEntry[],
    done: Done,
  ): void {
    const { onSend } = entry
    const statement = entry.statement as Statement
    const alone = (): void => {
      onSend?.()
      this.query(statement, done)
    }
    const isAlone = deferred.length === 0 && others.length === 0
    if (!isAlone && statement.takesDeferred) {
      return this.pipeline(deferred, statement, done, onSend, others)
    }
    if (statement.isSubmittable && ObservedQuery.isLeft(statement.config)) {
      // nobody will read it: it is not sent
      this.#putBack(deferred)
      return done(undefined, acknowledged(''))
    }
    if (isAlone) return alone()
    this.pipeline(deferred, undefined, (error) => {
      if (error === undefined) alone()
      else done(error)
    })
  }

  /** Sends a statement as it is, alone. */
  query(statement: Statement, done: Done): void {
    if (statement.isSubmittable) return this.#carry(statement, done)
    let query: PgQuery
    try {
      // the server's error counts, whatever a type parser has thrown before
      query = new (singleQueryClass(this.queryClass))(statement.config, statement.values)
    } catch (error) {
      return done(error)
    }
    statement.pipelineQuery = query
    // a name first, as where frames open: else V8 keeps it, and what it refers to, for long
    const answered: PgQuery['callback'] = (error, result) => done(error ?? undefined, result)
    query.callback = answered
    this.#submit(query, done)
  }

  #carry(statement: Statement, done: Done): void {
    const { config, callSite } = statement
    const observed = new ObservedQuery(config as Submittable, callSite, (error) => {
      if (this.observed === observed) this.observed = undefined
      done(error, acknowledged(''))
    })
    this.observed = observed
    const { once } = config as Partial<Readable>
    once?.call(config, 'close', () => {
      if (this.observed !== observed || !ObservedQuery.isLeft(config)) return
      const left = leftStream()
      this.#end(left)
      done(left)
    })
    statement.isDelivered = true
    this.#submit(observed, done)
  }

  /** Sends a statement, or nothing, with what rides in front of it and what goes along behind it. */
  pipeline(
    deferred: readonly DeferredCommand[],
    statement: Statement | undefined,
    done: Done,
    onSend?: () => void,
    others: readonly QueueEntry[] = NONE,
  ): void {
    const PipelineQuery = pipelineQueryClass(this.queryClass)
    // an empty text is a statement too: the server answers it with nothing
    const pipelineQuery = new PipelineQuery(statement?.config ?? '', statement?.values)
    if (statement !== undefined) statement.pipelineQuery = pipelineQuery
    if (others.length > 0)
      pipelineQuery.others = others.map((entry) => this.#pipelinedQueryOf(entry))
    this.sendPipeline(pipelineQuery, deferred, done, onSend, others)
  }

  /** The query of a trip that goes along with another. */
  #pipelinedQueryOf(entry: QueueEntry): PgQuery {
    const { statement } = entry
    const { binary, _types } = this.#client
    const PipelinedQuery = pipelinedQueryClass(this.queryClass)
    const part = new PipelinedQuery(statement?.config, statement?.values)
    // as `Client.query` does for what it is given
    if (binary) part.binary ||= true
    part._result._types ??= _types
    const answered: PgQuery['callback'] = (error, result) => {
      this.#settle(entry, error ?? undefined, result)
    }
    part.callback = answered
    if (statement !== undefined) statement.pipelineQuery = part
    return part
  }

  /** Sends a query of the bridge's own, with the same. */
  sendPipeline(
    pipelineQuery: PipelineQuery,
    deferred: readonly DeferredCommand[],
    done: Done,
    onSend?: () => void,
    others: readonly QueueEntry[] = NONE,
  ): void {
    let onCompletion: ReturnType<OnDeferredSent> | undefined
    const onWrite = (): void => {
      this.#guard.stop()
      onCompletion = this.#onDeferredSent(deferred)
      onSend?.()
      // but for those that could not be written
      for (const { onSend: onOtherSend, statement } of others) {
        if (pipelineQuery.others.some((part) => part === statement?.pipelineQuery)) onOtherSend?.()
      }
    }
    pipelineQuery.onWrite = onWrite
    pipelineQuery.deferred = deferred.length === 0 ? NONE : deferred.map((command) => command.sql)
    if (others.length > 0)
      pipelineQuery.isWhole = others.some(({ statement }) => statement?.endsBatch)
    let isCompleted = false
    const complete: Done = (error, result) => {
      if (isCompleted) return
      isCompleted = true
      this.#guard.stop()
      if (onCompletion === undefined) this.#keepBack(pipelineQuery, deferred, others, error)
      else onCompletion(pipelineQuery.completed, error)
      done(error, result)
    }
    const answered: PgQuery['callback'] = (error, result) => complete(error ?? undefined, result)
    pipelineQuery.callback = answered
    this.#guard.expect(pipelineQuery)
    this.#submit(pipelineQuery, complete)
  }

  /** Nothing of a flight was written: what was with it waits for the next statement. */
  #keepBack(
    pipelineQuery: PipelineQuery,
    deferred: readonly DeferredCommand[],
    others: readonly QueueEntry[],
    error: unknown,
  ): void {
    const isLost = pipelineQuery.isWhole && error !== undefined
    this.#putBack(isLost ? deferred : [...deferred, ...others])
    if (isLost) pipelineQuery.skipOthers(error, this.#client.connection)
  }

  async #await(answer: Promise<unknown>, query: Submittable, complete: Done): Promise<void> {
    try {
      const result = await answer
      if (result !== query && result !== undefined) complete(undefined, result as QueryResult)
    } catch (error) {
      complete(error)
    }
  }

  #submit(query: Submittable, done: Done): void {
    try {
      const answer = this.#send.call(this.#client, query)
      // of a client whose `query` somebody has wrapped, and that answers itself
      if (answer instanceof Promise) void this.#await(answer, query, done)
    } catch (error) {
      done(error)
    }
  }
}

const NONE: readonly never[] = []
