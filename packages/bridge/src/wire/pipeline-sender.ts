import { CopyGuard, type OnCopy } from '../protocol/copy-guard.ts'
import { type PipelineQuery, pipelineQueryClass } from '../protocol/pipeline-query.ts'
import { pipelinedQueryClass } from '../protocol/pipelined-query.ts'
import {
  type PgClient,
  type PgQuery,
  queryClassOf,
  type QueryResult,
  type Submittable,
} from '../protocol/pg.ts'
import type { Frame } from '../transaction/frame.ts'
import { BeginCheck, type BeginObserver } from './begin-check.ts'
import type { DeferredCommand, OnDeferredSent } from './deferred-command.ts'
import type { QueueEntry } from './queue-entry.ts'
import type { SendQueue } from './send-queue.ts'
import type { Statement } from './statement.ts'

/** Called with the answer, as `pg` calls back: `error` is null or undefined after a success. */
export type Done = (error: unknown, result?: QueryResult) => void

/** Learns what is sent, and whether BEGIN has opened a transaction. */
export interface SenderObserver extends BeginObserver {
  onDeferredSent: OnDeferredSent
}

/** A query that is sent with deferred commands in front of it, and with others behind it. */
interface Pipeline {
  readonly query: PipelineQuery
  readonly entry: QueueEntry
  readonly others: readonly QueueEntry[]
  /** The transaction that its first command begins. */
  readonly begun: Frame | undefined
  readonly onSend: (() => void) | undefined
  readonly done: Done
  /** Set when it is written. */
  onAnswer?: ReturnType<OnDeferredSent>
  isComplete?: boolean
  /** A copy is sent in its place. */
  isHeld?: boolean
}

type Report = (entry: QueueEntry, error: unknown, result?: QueryResult) => void

/** Sends queries with deferred commands in front of them, and with others behind them. */
export class PipelineSender {
  readonly #client: PgClient
  readonly #queue: SendQueue
  readonly #observer: SenderObserver
  readonly #report: Report
  readonly #submit: (query: Submittable, done: Done) => void
  readonly #guard: CopyGuard
  readonly beginCheck: BeginCheck

  /** `report` is called with the answers to the entries behind the first one. */
  constructor(
    client: PgClient,
    queue: SendQueue,
    observer: SenderObserver,
    report: Report,
    submit: (query: Submittable, done: Done) => void,
  ) {
    this.#client = client
    this.#queue = queue
    this.#observer = observer
    this.#report = report
    this.#submit = submit
    this.#guard = new CopyGuard(client)
    this.beginCheck = new BeginCheck(client, observer)
  }

  /** Sends the statement of an entry, with its deferred commands in front and others behind. */
  sendStatement(
    statement: Statement,
    entry: QueueEntry,
    others: readonly QueueEntry[],
    done: Done,
  ): void {
    const PipelineQuery = pipelineQueryClass(queryClassOf(this.#client))
    const query = new PipelineQuery(statement.config, statement.values)
    statement.query = query
    this.send(query, entry, others, done, entry.onSend)
  }

  /** Sends a query in place of the statement, likewise. */
  send(
    query: PipelineQuery,
    entry: QueueEntry,
    others: readonly QueueEntry[],
    done: Done,
    onSend?: () => void,
  ): void {
    const { deferred } = entry
    if (others.length > 0) {
      query.others = others.map((other) => this.#pipelinedQueryOf(other))
      query.isWhole = others.some(({ statement }) => statement?.endsBatch)
    }
    query.deferred = deferred
    const begun = begunBy(entry)
    const pipeline: Pipeline = { query, entry, others, begun, onSend, done }
    const complete = this.#complete.bind(this, pipeline)
    query.onWrite = this.#onWrite.bind(this, pipeline)
    query.callback = complete as PgQuery['callback']
    // A copy of a lone BEGIN may run: the transaction is not open before that has answered.
    if (deferred.length + others.length > 0) {
      this.#guard.expect(query, this.#holdCopy.bind(this, pipeline))
    }
    // In pipeline mode it would be written before the status that it has to wait for has come.
    const busy = begun && this.#client.pipeline ? this.beginCheck.whenReady() : undefined
    if (busy === undefined) this.#submit(query, complete)
    else void busy.then(() => this.#submit(query, complete))
  }

  /** The query of an entry that is pipelined behind another. */
  #pipelinedQueryOf(entry: QueueEntry): PgQuery {
    const { statement } = entry
    const { binary, _types } = this.#client
    const PipelinedQuery = pipelinedQueryClass(queryClassOf(this.#client))
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

  /** Called when a pipeline is about to be written. Returns the error if it must not be. */
  #onWrite(pipeline: Pipeline): Error | undefined {
    const { begun, entry, onSend, others, query } = pipeline
    this.#guard.stop()
    const foreign = begun ? this.beginCheck.start(query) : undefined
    if (foreign !== undefined) return foreign
    pipeline.onAnswer = this.#observer.onDeferredSent(entry.deferred)
    onSend?.()
    for (const other of others) if (isIn(query, other)) other.onSend?.()
    return undefined
  }

  /** Called with the answer to a pipeline, and again if the session ends behind it. */
  #complete(pipeline: Pipeline, reason: unknown, result?: QueryResult): void {
    if (pipeline.isComplete) return
    pipeline.isComplete = true
    const { begun, done, entry, onAnswer, others, query } = pipeline
    this.#guard.stop()
    const error = reason ?? undefined
    if (pipeline.isHeld) return done(error, result)
    if (onAnswer === undefined) this.#putBack(query, entry.deferred, others, error)
    else onAnswer(query.completed, error)
    done(begun ? this.beginCheck.finish(begun, query, error, result) : error, result)
  }

  /**
   * A wrapper of `query()` has passed on a copy of a pipeline. The deferred commands go alone, and the copy
   * is let into pg's queue when they have succeeded. Returns the query that takes its place until then.
   */
  #holdCopy(pipeline: Pipeline, copy: PgQuery): ReturnType<OnCopy> {
    const { begun, entry, onSend, others, query } = pipeline
    if (entry.query !== undefined) return undefined
    pipeline.isHeld = true
    this.#guard.stop()
    query.others = NONE
    this.#queue.group(entry, others)
    if (entry.deferred.length === 0) {
      onSend?.()
      return copy
    }
    const letIn = (error?: unknown): void => {
      if (error !== undefined) return copy.handleError(error, this.#client.connection)
      onSend?.()
      if (!pipeline.isComplete) this.#guard.letIn(copy)
    }
    return this.#commandsAlone(entry.deferred, begun, letIn)
  }

  /**
   * Makes a query that sends deferred commands alone. `done` lets the copy in if there is no error: right
   * behind a BEGIN that fails, the copy would run outside the transaction.
   */
  #commandsAlone(
    deferred: readonly DeferredCommand[],
    begun: Frame | undefined,
    done: (error: unknown) => void,
  ): PipelineQuery {
    const { beginCheck } = this
    const query = new (pipelineQueryClass(queryClassOf(this.#client)))(deferred.at(-1)?.sql)
    query.deferred = deferred.slice(0, -1)
    let onAnswer: ReturnType<OnDeferredSent> | undefined
    query.onWrite = () => {
      const foreign = begun ? beginCheck.start(query) : undefined
      if (foreign === undefined) onAnswer = this.#observer.onDeferredSent(deferred)
      return foreign
    }
    query.callback = (reason) => {
      const error = reason ?? undefined
      onAnswer?.(query.completed, error)
      done(begun ? beginCheck.finish(begun, query, error) : error)
    }
    return query
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
}

const NONE: readonly never[] = []

/** Whether an entry is written with a query: one whose values cannot be serialised is not. */
function isIn(query: PipelineQuery, { statement }: QueueEntry): boolean {
  return query.others.some((other) => other === statement?.query)
}

/** The transaction that the first command of an entry begins, deferred or not. */
function begunBy({ deferred, frame, statement }: QueueEntry): Frame | undefined {
  const [first] = deferred
  if (first !== undefined) return first.op === 'begin' ? first.frame : undefined
  return statement?.command?.kind === 'begin' ? frame : undefined
}
