import { type ControlCommand, controlCommand, isOneCommand } from '../sql/control-command.ts'
import { leavesAlone } from '../sql/leaves-alone.ts'
import type { Layer } from '../transaction/frame.ts'
import type { CallSite } from '../transaction/call-site.ts'
import {
  isReadTimeout,
  type PgQuery,
  type QueryConfig,
  type QueryResult,
  type Submittable,
} from '../protocol/pg.ts'

/** What `pg` reads of a query's configuration. */
const CONFIG_KEYS = [
  'text',
  'name',
  'values',
  'types',
  'rows',
  'rowMode',
  'queryMode',
  'binary',
  'portal',
  'query_timeout',
]

type Callback = (error: unknown, result?: QueryResult) => void

/** One call of `query`, in any of the forms that `pg` takes. */
export class Statement {
  readonly layer: Layer
  config: string | QueryConfig | Submittable
  readonly values: unknown[] | undefined
  readonly callback: Callback | undefined
  /** What the text does to the transaction; nothing for any other SQL. */
  readonly command: ControlCommand | undefined
  /** Whether there can only be one command in it. */
  readonly #isSingle: boolean
  /** The COMMIT that leaves with the statements of a batch. */
  endsBatch = false
  /** What carries it, where that is the bridge's own query. */
  pipelineQuery: PgQuery | undefined
  /** Where the user's call is, where it is known. */
  callSite: CallSite | undefined
  /** Aborted by who does not want it any more, while it waits or runs. */
  signal: AbortSignal | undefined
  /** A query that speaks the protocol itself was handed to the client, which tells it of errors. */
  isDelivered = false

  constructor(layer: Layer, config: unknown, values?: unknown, callback?: unknown) {
    this.layer = layer
    this.config = config as string | QueryConfig | Submittable
    // it may leave later: what the caller does with its objects until then is not about it
    const isKept = layer === 'pg'
    this.values = Array.isArray(values) ? (isKept ? values.slice() : values) : undefined
    if (isKept) this.#keep()
    const inConfig = isKept ? this.#callbackIn(config) : undefined
    this.callback = (callback || (typeof values === 'function' ? values : inConfig)) as
      | Callback
      | undefined
    const { text } = this
    // with values or a name the protocol guarantees one command
    const isGuaranteed = this.parameters.length > 0 || this.name !== undefined
    this.#isSingle = isGuaranteed || !text.includes(';')
    this.command = controlCommand(text, this.#isSingle)
  }

  get text(): string {
    if (typeof this.config === 'string') return this.config
    // pg-query-stream keeps its text on its cursor
    return this.config?.text ?? (this.config as { cursor?: Submittable })?.cursor?.text ?? ''
  }

  /** The name of a prepared statement. */
  get name(): string | undefined {
    return typeof this.config === 'string' ? undefined : (this.config as QueryConfig)?.name
  }

  /** Sends it under another name. */
  rename(name: string): void {
    // a query that speaks the protocol itself is who has to be answered
    if (this.isSubmittable) Object.assign(this.config, { name })
    else this.config = { ...copyOf(this.config as QueryConfig), name }
  }

  #keep(): void {
    if (typeof this.config === 'object' && !this.isSubmittable) this.config = copyOf(this.config)
  }

  /** The callback in a plain configuration: a query that speaks the protocol itself calls its own. */
  #callbackIn(config: unknown): unknown {
    if (typeof config === 'string' || this.isSubmittable) return undefined
    return (config as { callback?: unknown }).callback || undefined
  }

  get parameters(): readonly unknown[] {
    const { values } = this.config as QueryConfig
    // pg refuses any other kind of values itself
    return this.values ?? (Array.isArray(values) ? values : [])
  }

  get isSubmittable(): boolean {
    return typeof (this.config as Partial<Submittable>)?.submit === 'function'
  }

  /** Whether control statements can ride with it: one command, sent by `pg` itself. */
  get takesDeferred(): boolean {
    // what is fetched page by page asks for its pages itself
    const isPaged = Boolean((this.config as QueryConfig).rows)
    return !this.isSubmittable && !isPaged && (this.#isSingle || isOneCommand(this.text))
  }

  /**
   * The command tag that the server has answered with. It is known before the answer is complete,
   * and stays so if the connection breaks in between.
   */
  get tag(): string | undefined {
    return this.pipelineQuery?._result.command ?? undefined
  }

  /** Whether it may leave together with others, before one Sync: one command, of which `pg` only wants the answer. */
  get isPipelinable(): boolean {
    const isAlone = this.isSubmittable || this.hasTimeout || this.signal !== undefined
    if (isAlone || (this.command !== undefined && !this.endsBatch)) return false
    return this.takesDeferred && !leavesAlone(this.text)
  }

  /** What the server has said, where it has failed with an error of another. */
  said(error: unknown): unknown {
    return isReadTimeout(error) ? undefined : this.pipelineQuery?.failure
  }

  /** Whether nothing of it has to be known but the answer, where it stands outside any transaction. */
  get isPlain(): boolean {
    const isSpecial = this.isSubmittable || this.hasTimeout || this.signal !== undefined
    return !isSpecial && this.name === undefined
  }

  /** Whether it opens a frame. */
  get opens(): boolean {
    const kind = this.command?.kind
    return kind === 'begin' || kind === 'savepoint'
  }

  /** Whether it takes a frame back, or keeps a savepoint: not to be cancelled with that. */
  get undoes(): boolean {
    const kind = this.command?.kind
    return kind === 'rollback' || kind === 'rollback-to' || kind === 'release'
  }

  get hasTimeout(): boolean {
    return Boolean((this.config as QueryConfig).query_timeout)
  }
}

function copyOf(given: object): QueryConfig {
  const copy: Record<string, unknown> = {}
  for (const key of CONFIG_KEYS) {
    const value = (given as Record<string, unknown>)[key]
    if (value !== undefined) copy[key] = Array.isArray(value) ? value.slice() : value
  }
  return copy
}
