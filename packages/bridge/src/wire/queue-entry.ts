import { AsyncResource } from 'node:async_hooks'
import type { Frame } from '../transaction/frame.ts'
import { type CallSite, callSiteHere } from '../transaction/call-site.ts'
import type { QueryResult } from '../protocol/pg.ts'
import type { DeferredCommand } from './send-queue.ts'
import { rejectWithCallerStack } from './caller-stack.ts'
import type { Statement } from './statement.ts'

/** Speaks to the client while nothing else does. Takes what rides in front along. */
export type Speak = (deferred: readonly DeferredCommand[]) => Promise<unknown>

/** What goes over the wire in one trip: a statement, or somebody who speaks to the client directly. */
export class QueueEntry {
  readonly frame: Frame | undefined
  readonly statement: Statement | undefined
  /** Called when it leaves. */
  readonly onSend: (() => void) | undefined
  readonly speak: Speak | undefined
  /** What its sender is told. */
  readonly answer: Promise<unknown>
  /** When and where it was asked for, where something was in its way that may stay there. */
  since = 0
  asked: CallSite | undefined
  /** Its errors come from code that speaks to the client itself, with traces of their own. */
  hasOwnStack = false
  #caller: AsyncResource | undefined
  #resolve!: (result: unknown) => void
  #reject!: (error: unknown) => void

  constructor(
    frame: Frame | undefined,
    statement: Statement | undefined,
    onSend?: () => void,
    speak?: Speak,
  ) {
    this.frame = frame
    this.statement = statement
    this.onSend = onSend
    this.speak = speak
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Whether it is a control command, with which nothing leaves together. */
  get isAlone(): boolean {
    return this.statement?.command !== undefined && !this.statement.endsBatch
  }

  /** Notes that it waits behind what keeps the connection to itself. */
  waits(): void {
    this.since = performance.now()
    this.asked = callSiteHere()
  }

  /** Keeps the async context of who asks, for what is called of theirs when it leaves later. */
  keepContext(): void {
    // takes a small part of the time of AsyncLocalStorage.snapshot(), which binds a function to it
    this.#caller = new AsyncResource('shared-connection')
  }

  /** Runs `fn` in the context that was kept, if it was. */
  run(fn: () => void): void {
    if (this.#caller === undefined) fn()
    else this.#caller.runInAsyncScope(fn)
  }

  resolve(result: QueryResult | undefined): void {
    this.#resolve(result)
  }

  /** Tells that it was not sent. */
  refuse(error: unknown): void {
    this.#reject(error)
  }

  /** Tells what has become of it on the wire. */
  fail(error: unknown): void {
    if (this.hasOwnStack) this.#reject(error)
    else this.#resolve(rejectWithCallerStack(error))
  }
}
