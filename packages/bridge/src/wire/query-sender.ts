import type { Readable } from 'node:stream'
import { baseQueryClass } from '../protocol/base-query.ts'
import { CopyGuard, type OnCopy } from '../protocol/copy-guard.ts'
import { leftStream, ObservedQuery } from '../protocol/observed-query.ts'
import { type PipelineQuery, pipelineQueryClass } from '../protocol/pipeline-query.ts'
import { pipelinedQueryClass } from '../protocol/pipelined-query.ts'
import { isWrapped } from '../protocol/wrapped-query.ts'
import {
  acknowledged,
  type PgClient,
  type PgQuery,
  type QueryClass,
  type QueryResult,
  type Submittable,
} from '../protocol/pg.ts'
import { BeginCheck, type BeginObserver } from './begin-check.ts'
import type { DeferredCommand, OnDeferredSent } from './deferred-command.ts'
import { commandsAlone } from './hold-copy.ts'
import type { QueueEntry } from './queue-entry.ts'
import type { SendQueue } from './send-queue.ts'
import type { Statement } from './statement.ts'

/** Called with the answer, as `pg` calls back: `error` is null or undefined after a success. */
export type Done = (error: unknown, result?: QueryResult) => void

/** What the sender needs to be told or done while it sends. */
interface SenderObserver extends BeginObserver {
  onDeferredSent: OnDeferredSent
}

/** Sends one thing after the other to the client of `pg`, each as a query of the bridge's own. */
export class QuerySender {
  readonly #client: PgClient
  readonly #owner: Pick<PgClient, 'query'>
  readonly #queue: SendQueue
  readonly #observer: SenderObserver
  readonly #report: (entry: QueueEntry, error: unknown, result?: QueryResult) => void
  readonly #guard: CopyGuard
  readonly beginCheck: BeginCheck
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
    this.#report = report
    this.#guard = new CopyGuard(client)
    this.beginCheck = new BeginCheck(client, observer)
  }

  /** The query that keeps the connection to itself, while it waits for its reader. */
  get stream(): ObservedQuery | undefined {
    return this.observed?.isSuspended ? this.observed : undefined
  }

  /** Whether the `query()` of the client is wrapped. */
  get isWrapped(): boolean {
    return isWrapped(this.#owner.query)
  }

  /** The client's own class of queries. */
  get queryClass(): QueryClass {
    return (this.#client.constructor as unknown as { Query: QueryClass }).Query
  }

  /** Sends an entry with the deferred commands in front of it and the others behind it. */
  send(entry: QueueEntry, others: readonly QueueEntry[], done: Done): void {
    const { query, work, deferred, onSend } = entry
    const statement = work === undefined ? entry.statement : undefined
    const isAlone = deferred.length === 0 && others.length === 0
    const begins = statement?.command?.kind === 'begin'
    try {
      if (query !== undefined) this.#sendPipeline(query, entry, NONE, done, onSend)
      else if (
        statement &&
        (begins || (!isAlone && (entry.isPipelinable || statement.takesDeferred)))
      ) {
        this.#sendPipeline(this.#pipelineQueryOf(statement), entry, others, done, onSend)
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
      query = new (baseQueryClass(this.queryClass))(statement.config, statement.values)
    } catch (error) {
      return done(error)
    }
    statement.query = query
    query.callback = done as PgQuery['callback']
    this.#submit(query, done)
  }

  /** Sends a statement alone, and gives its answer. */
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
    const query = new (pipelineQueryClass(this.queryClass))('')
    this.#sendPipeline(query, entry, NONE, (error) => {
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

  #pipelineQueryOf(statement: Statement): PipelineQuery {
    const PipelineQuery = pipelineQueryClass(this.queryClass)
    const query = new PipelineQuery(statement.config, statement.values)
    statement.query = query
    return query
  }

  /** The query of an entry that is pipelined behind another. */
  #pipelinedQueryOf(entry: QueueEntry): PgQuery {
    const { statement } = entry
    const { binary, _types } = this.#client
    const PipelinedQuery = pipelinedQueryClass(this.queryClass)
    const query = new PipelinedQuery(statement?.config, statement?.values)
    // Client.query() does the same for the query that it is given.
    if (binary) query.binary ||= true
    query._result._types ??= _types
    // V8 puts a function literal that is assigned to a property into old space, and keeps it until
    // a full collection. So functions are assigned through variables.
    const answered: PgQuery['callback'] = (error, result) => {
      this.#report(entry, error ?? undefined, result)
    }
    query.callback = answered
    if (statement !== undefined) statement.query = query
    return query
  }

  #sendPipeline(
    query: PipelineQuery,
    entry: QueueEntry,
    others: readonly QueueEntry[],
    done: Done,
    onSend?: () => void,
  ): void {
    const { deferred } = entry
    const [first] = deferred
    const isBegin = entry.statement?.command?.kind === 'begin'
    const begun = first === undefined ? isBegin && entry.frame : first.op === 'begin' && first.frame
    if (others.length > 0) {
      query.others = others.map((other) => this.#pipelinedQueryOf(other))
      query.isWhole = others.some(({ statement }) => statement?.endsBatch)
    }
    query.deferred = deferred
    let onAnswer: ReturnType<OnDeferredSent> | undefined
    const onWrite = (): Error | undefined => {
      this.#guard.stop()
      const foreign = begun ? this.beginCheck.start(query) : undefined
      if (foreign !== undefined) return foreign
      onAnswer = this.#observer.onDeferredSent(deferred)
      onSend?.()
      for (const other of others) if (isIn(query, other)) other.onSend?.()
      return undefined
    }
    query.onWrite = onWrite
    let isComplete = false
    let isHeld = false
    const complete: Done = (reason, result) => {
      if (isComplete) return
      isComplete = true
      this.#guard.stop()
      const error = reason ?? undefined
      if (isHeld) return done(error, result)
      if (onAnswer === undefined) this.#putBack(query, deferred, others, error)
      else onAnswer(query.completed, error)
      done(begun ? this.beginCheck.finish(begun, query, error, result) : error, result)
    }
    query.callback = complete as PgQuery['callback']
    const onCopy: OnCopy = (copy) => {
      if (entry.query !== undefined) return undefined
      isHeld = true
      this.#guard.stop()
      query.others = NONE
      this.#queue.group(entry, others)
      const letIn = (error?: unknown): void => {
        if (error !== undefined) return copy.handleError(error, this.#client.connection)
        onSend?.()
        if (!isComplete) this.#guard.letIn(copy)
      }
      if (deferred.length > 0) {
        const opening = { deferred, begun, beginCheck: this.beginCheck, observer: this.#observer }
        return commandsAlone(this.queryClass, opening, letIn)
      }
      onSend?.()
      return copy
    }
    // A copy of a lone BEGIN may run: the transaction is not open before that has answered.
    if (deferred.length + others.length > 0) this.#guard.expect(query, onCopy)
    // In pipeline mode it would be written before the status that it has to wait for has come.
    const busy = begun && this.#client.pipeline ? this.beginCheck.whenReady() : undefined
    if (busy === undefined) this.#submit(query, complete)
    else void busy.then(() => this.#submit(query, complete))
  }

  /** Nothing was written: the rest of the pipeline waits for the next statement. */
  #putBack(
    query: PipelineQuery,
    deferred: readonly DeferredCommand[],
    others: readonly QueueEntry[],
    error: unknown,
  ): void {
    const isLost = query.isWhole && error !== undefined
    this.#queue.putBack(deferred, isLost ? NONE : others)
    if (isLost) query.skipOthers(error, this.#client.connection)
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

/** Whether an entry is written with a query: one whose values cannot be serialised is not. */
function isIn(query: PipelineQuery, { statement }: QueueEntry): boolean {
  return query.others.some((other) => other === statement?.query)
}
