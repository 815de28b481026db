import { type ControlCommand, controlCommand, isOneCommand } from '../sql/control-command.ts'
import { leavesAlone } from '../sql/leaves-alone.ts'
import type { Layer } from '../transaction/frame.ts'
import type { CallSite } from '../transaction/call-site.ts'
import { ObservedQuery } from '../protocol/observed-query.ts'
import {
  isReadTimeout,
  type PgQuery,
  type QueryConfig,
  type QueryResult,
  type Submittable,
} from '../protocol/pg.ts'
import type { UnsentCursor } from '../protocol/unsent-cursor.ts'

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

const NO_PARAMETERS: readonly unknown[] = []

type Callback = (error: unknown, result?: QueryResult) => void

/** One call of `query`, in any of the forms that `pg` takes. */
export class Statement {
  readonly layer: Layer
  /** What `pg` is given. Never null or undefined: the caller has refused those as `pg` does. */
  config: string | QueryConfig | Submittable
  readonly values: unknown[] | undefined
  readonly callback: Callback | undefined
  readonly text: string
  /** The name of a prepared statement. */
  name: string | undefined
  readonly parameters: readonly unknown[]
  /** The configuration is a query that speaks the protocol itself, such as a cursor. */
  readonly isSubmittable: boolean
  /** It has a `query_timeout` of its own. */
  readonly hasTimeout: boolean
  /** What the text does to the transaction; `undefined` for any other SQL. */
  readonly command: ControlCommand | undefined
  /** The text is known to contain only one command. */
  readonly #isSingle: boolean
  /** The COMMIT that is pipelined with the statements of a batch. */
  endsBatch = false
  /** The bridge's own query that was sent for it. */
  query: PgQuery | undefined
  /** Where the user's code asked for it, if that is known. */
  callSite: CallSite | undefined
  /** Aborts the statement, whether it waits or runs. */
  signal: AbortSignal | undefined
  /** The client was given a query that speaks the protocol itself, and reports errors to that. */
  isDelivered = false
  /** Set while it is a cursor that was not sent yet. */
  unsent: UnsentCursor | undefined

  constructor(layer: Layer, config: unknown, values?: unknown, callback?: unknown) {
    const given = config as string | QueryConfig | Submittable
    const isText = typeof given === 'string'
    const { submit, query_timeout: timeout } = given as Partial<Submittable & QueryConfig>
    this.layer = layer
    this.isSubmittable = typeof submit === 'function'
    this.hasTimeout = Boolean(timeout)
    // The statement may be sent later, and the users of pg may change their objects until then.
    const isCopied = layer === 'pg'
    this.config =
      isCopied && typeof given === 'object' && !this.isSubmittable ? copyOf(given) : given
    this.values = Array.isArray(values) ? (isCopied ? values.slice() : values) : undefined
    this.callback = (callback ||
      (typeof values === 'function' ? values : isCopied && callbackIn(given, this.isSubmittable)) ||
      undefined) as Callback | undefined

    this.text = isText ? given : textOf(given)
    this.name = isText ? undefined : (given as QueryConfig).name
    this.parameters = this.values ?? valuesIn(this.config as QueryConfig)
    // The extended protocol, which values and names need, takes one command only.
    const isExtended = this.parameters.length > 0 || this.name !== undefined
    this.#isSingle = isExtended || !this.text.includes(';')
    this.command = controlCommand(this.text, this.#isSingle)
  }

  /** Sends it under another name. */
  rename(name: string): void {
    this.name = name
    // A query that speaks the protocol itself receives the answer, so it cannot be copied.
    if (this.isSubmittable) Object.assign(this.config, { name })
    else this.config = { ...copyOf(this.config as QueryConfig), name }
  }

  /** Whether deferred commands can be sent in front of it: it is one command, sent by `pg` itself. */
  get takesDeferred(): boolean {
    // pg fetches pages by messages of its own, each with a Sync.
    const isPaged = Boolean((this.config as QueryConfig).rows)
    return !this.isSubmittable && !isPaged && (this.#isSingle || isOneCommand(this.text))
  }

  /** Whether nobody reads the answer any more: its stream was left, or its cursor closed, before it was sent. */
  get isLeft(): boolean {
    return (
      this.isSubmittable && (this.unsent?.isClosed === true || ObservedQuery.isLeft(this.config))
    )
  }

  /** Whether it can be pipelined with others before one Sync. */
  get isPipelinable(): boolean {
    const isSpecial = this.isSubmittable || this.hasTimeout || this.signal !== undefined
    if (isSpecial || (this.command !== undefined && !this.endsBatch)) return false
    return this.takesDeferred && !leavesAlone(this.text)
  }

  /** Whether it can be sent outside a transaction without a queue. */
  get isPlain(): boolean {
    const isSpecial = this.isSubmittable || this.hasTimeout || this.signal !== undefined
    return !isSpecial && this.name === undefined
  }

  /**
   * The command tag of the server's answer. It is known before the answer is complete, and remains
   * if the connection breaks in between.
   */
  get tag(): string | undefined {
    return this.query?._result.command ?? undefined
  }

  /** The server's error, where `error` is another one: that of a type parser which threw first. */
  serverErrorBehind(error: unknown): unknown {
    return isReadTimeout(error) ? undefined : this.query?.failure
  }

  /** Whether it opens a frame. */
  get opens(): boolean {
    const kind = this.command?.kind
    return kind === 'begin' || kind === 'savepoint'
  }

  /** Whether it ends a frame other than by COMMIT. It is not cancelled along with the frame. */
  get undoes(): boolean {
    const kind = this.command?.kind
    return kind === 'rollback' || kind === 'rollback-to' || kind === 'release'
  }
}

function textOf(config: QueryConfig | Submittable): string {
  // pg-query-stream has its text on its cursor.
  return config.text ?? (config as { cursor?: Submittable }).cursor?.text ?? ''
}

function valuesIn({ values }: QueryConfig): readonly unknown[] {
  // pg refuses values of any other kind.
  return Array.isArray(values) ? values : NO_PARAMETERS
}

/** The callback in a plain configuration. A query that speaks the protocol itself calls its own. */
function callbackIn(config: unknown, isSubmittable: boolean): unknown {
  return isSubmittable ? undefined : (config as { callback?: unknown }).callback
}

function copyOf(given: object): QueryConfig {
  const copy: Record<string, unknown> = {}
  for (const key of CONFIG_KEYS) {
    const value = (given as Record<string, unknown>)[key]
    if (value !== undefined) copy[key] = Array.isArray(value) ? value.slice() : value
  }
  return copy
}
