import { AsyncResource } from 'node:async_hooks'
import type { Frame } from '../transaction/frame.ts'
import { type CallSite, callSiteHere } from '../transaction/call-site.ts'
import type { PipelineQuery } from '../protocol/pipeline-query.ts'
import { rejectWithCallerStack } from './caller-stack.ts'
import type { DeferredCommand } from './deferred-command.ts'
import type { Statement } from './statement.ts'
import type { StatementGroup } from './statement-group.ts'

/** What an entry sends. */
export interface Payload {
  readonly statement?: Statement
  /** A query of the bridge's own, which can be sent more than once. */
  readonly query?: PipelineQuery
  /** Sends by itself while nothing else does. */
  readonly work?: () => Promise<unknown>
  /** Where the user's code asked for that. */
  readonly callSite?: CallSite | undefined
}

const NONE: readonly DeferredCommand[] = []

/** One thing that waits to be sent, or is being answered. */
export class QueueEntry {
  readonly frame: Frame | undefined
  readonly statement: Statement | undefined
  readonly query: PipelineQuery | undefined
  readonly work: (() => Promise<unknown>) | undefined
  /** Where the user's code asked for it, if it keeps the connection to itself. */
  readonly callSite: CallSite | undefined
  /** Called when it is sent. */
  readonly onSend: (() => void) | undefined
  /** Sent in front of it. */
  deferred: readonly DeferredCommand[] = NONE
  /** The statements that it was issued together with, if they are sent one after the other. */
  group: StatementGroup | undefined
  /** Whether it can be pipelined with others. */
  readonly isPipelinable: boolean
  /** Whether later entries may be pipelined with it: it is in a transaction and is no control command. */
  readonly mayGather: boolean
  readonly answer: Promise<unknown>
  readonly resolve: (result: unknown) => void
  /** Rejects with the error as it is. */
  readonly reject: (error: unknown) => void
  /** When it began to wait behind what keeps the connection, by `performance.now()`. */
  since = 0
  /** Where the user's code asked for it, if it waits behind what keeps the connection. */
  asked: CallSite | undefined
  /** The async context of the caller, if the entry is sent in another one. */
  caller: AsyncResource | undefined

  /** `pipelines`: whether statements of one transaction are pipelined at all. */
  constructor(
    frame: Frame | undefined,
    { statement, query, work, callSite }: Payload,
    onSend: (() => void) | undefined,
    pipelines: boolean,
  ) {
    this.frame = frame
    this.statement = statement
    this.query = query
    this.work = work
    this.callSite = callSite ?? statement?.callSite
    this.onSend = onSend
    this.isPipelinable =
      pipelines && frame !== undefined && statement !== undefined && statement.isPipelinable
    this.mayGather =
      frame !== undefined && (statement?.command === undefined || statement.endsBatch)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.answer = promise
    this.resolve = resolve
    this.reject = reject
  }

  /** Whether the user's code keeps the connection to itself: by a stream, or by withClient(). */
  get keepsConnection(): boolean {
    return this.statement === undefined ? this.work !== undefined : this.statement.isSubmittable
  }

  /** Notes since when and from where it waits behind what keeps the connection. */
  noteWait(): void {
    this.since = performance.now()
    this.asked = callSiteHere()
  }

  /** Keeps the async context of the caller, in which the user's code is called when it is sent. */
  keepContext(): void {
    // This takes a small part of the time of AsyncLocalStorage.snapshot(), which binds a function.
    this.caller = new AsyncResource('shared-connection')
  }

  /** Rejects with an error of the wire. Its stack leads to the caller, unless the caller's own code threw it. */
  fail(error: unknown): void {
    const isOfCaller = this.work !== undefined && this.statement === undefined
    if (isOfCaller) this.reject(error)
    else this.resolve(rejectWithCallerStack(error))
  }
}
