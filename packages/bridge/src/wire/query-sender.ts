import type { Readable } from 'node:stream'
import { baseQueryClass } from '../protocol/base-query.ts'
import { leftStream, ObservedQuery } from '../protocol/observed-query.ts'
import { pipelineQueryClass } from '../protocol/pipeline-query.ts'
import { isWrapped } from '../protocol/wrapped-query.ts'
import {
  acknowledged,
  type PgClient,
  type PgQuery,
  queryClassOf,
  type QueryResult,
  type Submittable,
} from '../protocol/pg.ts'
import { type Done, PipelineSender, type SenderObserver } from './pipeline-sender.ts'
import type { QueueEntry } from './queue-entry.ts'
import type { SendQueue } from './send-queue.ts'
import type { Statement } from './statement.ts'

/** Sends one thing after the other to the client of `pg`, each as a query of the bridge's own. */
export class QuerySender {
  readonly #client: PgClient
  readonly #owner: Pick<PgClient, 'query'>
  readonly #queue: SendQueue
  readonly #observer: SenderObserver
  readonly pipelines: PipelineSender
  /** The query that keeps the connection to itself until its end. */
  observed: ObservedQuery | undefined

  /**
   * `owner` has the `query()` of the client, which may be wrapped at any time. `report` is called with the
   * answers to the entries that are pipelined behind the first one.
   */
  constructor(
    client: PgClient,
    owner: Pick<PgClient, 'query'>,
    queue: SendQueue,
    observer: SenderObserver,
    report: (entry: QueueEntry, error: unknown, result?: QueryResult) => void,
  ) {
    this.#client = client
    this.#owner = owner
    this.#queue = queue
    this.#observer = observer
    this.pipelines = new PipelineSender(client, queue, observer, report, (query, done) =>
      this.#submit(query, done),
    )
  }

  /** The query that keeps the connection to itself, while it waits for its reader. */
  get stream(): ObservedQuery | undefined {
    return this.observed?.isSuspended ? this.observed : undefined
  }

  /** Whether the `query()` of the client is wrapped. */
  get isWrapped(): boolean {
    return isWrapped(this.#owner.query)
  }

  /** Sends an entry with the deferred commands in front of it and the others behind it. */
  send(entry: QueueEntry, others: readonly QueueEntry[], done: Done): void {
    const { query, work, deferred, onSend } = entry
    const statement = work === undefined ? entry.statement : undefined
    const isAlone = deferred.length === 0 && others.length === 0
    const begins = statement?.command?.kind === 'begin'
    try {
      if (query !== undefined) this.pipelines.send(query, entry, NONE, done, onSend)
      else if (
        statement &&
        (begins || (!isAlone && (entry.isPipelinable || statement.takesDeferred)))
      ) {
        this.pipelines.sendStatement(statement, entry, others, done)
      } else if (statement?.isLeft) {
        // Nobody would read it, so it is not sent.
        this.#queue.putBack(deferred, NONE)
        done(undefined, acknowledged(''))
      } else if (isAlone) this.#sendAlone(entry, done)
      else this.#sendInFront(entry, done)
    } catch (error) {
      done(error)
    }
  }

  /** Sends a statement alone. */
  query(statement: Statement, done: Done): void {
    if (statement.isSubmittable) return this.#observe(statement, done)
    let query: PgQuery
    try {
      query = new (baseQueryClass(queryClassOf(this.#client)))(statement.config, statement.values)
    } catch (error) {
      return done(error)
    }
    statement.query = query
    query.callback = done as PgQuery['callback']
    this.#submit(query, done)
  }

  /** Sends a statement alone, and returns its answer. */
  request(statement: Statement): Promise<QueryResult> {
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult>()
    this.query(statement, (error, result) => {
      if (error === undefined || error === null) resolve(result as QueryResult)
      else reject(error)
    })
    return promise
  }

  #sendAlone({ statement, work, onSend }: QueueEntry, done: Done): void {
    onSend?.()
    if (work !== undefined) void this.#run(work, done)
    else if (statement !== undefined) this.query(statement, done)
  }

  async #run(work: () => Promise<unknown>, done: Done): Promise<void> {
    let result: unknown
    try {
      result = await work()
    } catch (error) {
      return done(error)
    }
    done(undefined, result as QueryResult)
  }

  /** Sends the deferred commands before an entry that cannot be pipelined with them. */
  #sendInFront(entry: QueueEntry, done: Done): void {
    // An empty text is a statement too, which the server answers without a command tag.
    const query = new (pipelineQueryClass(queryClassOf(this.#client)))('')
    this.pipelines.send(query, entry, NONE, (error) => {
      if (error === undefined) this.#sendAlone(entry, done)
      else done(error)
    })
  }

  /** Sends a query that speaks the protocol itself. */
  #observe(statement: Statement, done: Done): void {
    const { config, callSite, unsent } = statement
    const observed = new ObservedQuery(config as Submittable, callSite, unsent, (error) => {
      if (this.observed === observed) this.observed = undefined
      done(error, acknowledged(''))
    })
    this.observed = observed
    const { once } = config as Partial<Readable>
    once?.call(config, 'close', () => {
      if (this.observed !== observed || !ObservedQuery.isLeft(config)) return
      const left = leftStream()
      this.#observer.end(left)
      done(left)
    })
    statement.isDelivered = true
    this.#submit(observed, done)
  }

  #submit(query: Submittable, done: Done): void {
    try {
      const answer = this.#owner.query.call(this.#client, query)
      // A client whose query() somebody has wrapped may answer by itself.
      if (answer instanceof Promise) void this.#await(answer, query, done)
    } catch (error) {
      done(error)
    }
  }

  async #await(answer: Promise<unknown>, query: Submittable, done: Done): Promise<void> {
    try {
      const result = await answer
      if (result !== query && result !== undefined) done(undefined, result as QueryResult)
    } catch (error) {
      done(error)
    }
  }
}

const NONE: readonly never[] = []
