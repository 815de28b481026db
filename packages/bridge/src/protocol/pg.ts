import { isError } from '../brand.ts'

/** The parts of `pg` that the bridge needs. They are structural, so that any copy of `pg` fits. */

/** The answer to a statement. */
export interface QueryResult {
  readonly command: string
  readonly rowCount: number | null
  readonly rows: unknown[]
  readonly fields: unknown[]
}

/** What `client.query` takes instead of a text. */
export interface QueryConfig {
  readonly text?: string
  readonly name?: string
  readonly values?: unknown[]
  readonly query_timeout?: number
  /** The number of rows in a page. */
  readonly rows?: number
}

/** A query that speaks the protocol itself: a cursor, a COPY stream, a query of the bridge. */
export interface Submittable {
  text?: string
  submit(connection: PgConnection): Error | null | undefined | void
  handleRowDescription(message: unknown, connection: PgConnection): void
  handleDataRow(message: unknown, connection: PgConnection): void
  handleCommandComplete(message: unknown, connection: PgConnection): void
  handleEmptyQuery(connection: PgConnection): void
  handleError(error: unknown, connection: PgConnection): void
  handleReadyForQuery(connection: PgConnection): void
  handlePortalSuspended(connection: PgConnection): void
  handleCopyInResponse(connection: PgConnection): void
  handleCopyData(message: unknown, connection: PgConnection): void
}

/** The protocol connection inside a client. */
export interface PgConnection {
  readonly stream: {
    cork?(): void
    uncork?(): void
    write(bytes: Uint8Array): void
    readonly writable?: boolean
    readonly destroyed?: boolean
    destroy(): void
    readonly remoteAddress?: string | undefined
  }
  readonly parsedStatements: Record<string, string>
  readonly submittedNamedStatements: Record<string, string>
  parse(message: object): void
  bind(message: BindMessage): void
  execute(message: object): void
  describe(message: object): void
  close(message: object): void
  flush(): void
  sync(): void
  query(text: string): void
  sendCopyFail(message: string): void
  once(event: 'readyForQuery', listener: () => void): unknown
}

/** The message that carries a statement's values. */
export interface BindMessage {
  readonly values?: unknown[]
  readonly valueMapper?: (value: unknown, index?: number) => unknown
}

/** pg's own class of queries. */
export type QueryClass = new (config: unknown, values?: unknown, callback?: unknown) => PgQuery

/** One query of `pg`'s own class. */
export interface PgQuery extends Submittable {
  name?: string | undefined
  text?: string
  binary?: unknown
  callback?: ((error: Error | null | undefined, result?: QueryResult) => void) | undefined
  /** The server's error, even where a type parser had thrown before. */
  failure?: unknown
  readonly _result: QueryResult & { _types?: unknown; addCommandComplete(message: unknown): void }
  requiresPreparation(): boolean
}

/** A client of `pg`, as a pool lends it. */
export interface PgClient {
  readonly processID?: number | null
  readonly secretKey?: unknown
  readonly host: string
  readonly port: number
  readonly ssl?: unknown
  readonly sslNegotiation?: string
  readonly connection: PgConnection
  /** Whether its answers come in binary. */
  readonly binary?: boolean
  /** Its type parsers. */
  readonly _types?: unknown
  readonly connectionParameters?: { readonly query_timeout?: number | false }
  /** Whether it sends queries while others are being answered. */
  readonly pipeline?: boolean
  /** False while a query runs, and until the server has said that it is ready for the next. */
  readonly readyForQuery?: boolean
  connect(callback?: unknown): unknown
  query(config: unknown, values?: unknown, callback?: unknown): unknown
  getTransactionStatus(): string | null
  on(event: string, listener: (...args: never[]) => void): unknown
  removeListener(event: string, listener: (...args: never[]) => void): unknown
  listeners(event: string): ((...args: never[]) => void)[]
  release?(error?: Error | boolean): void
}

/** A pool of `pg`. */
export interface PgPool {
  readonly options: { readonly max?: number; readonly stream?: unknown }
  readonly ending: boolean
  readonly ended: boolean
  connect(callback?: unknown): Promise<PgClient> | void
  query(config: unknown, values?: unknown, callback?: unknown): Promise<QueryResult> | void
  end(callback?: () => void): Promise<void>
}

/** Whether it is an ErrorResponse of the server, and no error of `pg` or the bridge. */
export function isServerError(
  error: unknown,
): error is Error & { code: string; severity: string; routine?: string; where?: string } {
  return (
    isError(error) &&
    typeof (error as { severity?: unknown }).severity === 'string' &&
    typeof (error as { code?: unknown }).code === 'string'
  )
}

/** Whether the server closed the session with this error. */
export function isFatal(error: unknown): boolean {
  // `severity` is localised. In the few languages where these words differ, the connection is found
  // to be lost at once.
  return isServerError(error) && (error.severity === 'FATAL' || error.severity === 'PANIC')
}

/** Whether `pg` has given a statement up while it still runs. The error has no code. */
export function isReadTimeout(error: unknown): boolean {
  return isError(error) && error.message === 'Query read timeout'
}

/** The bridge's own answer to a control command that is not sent, or is deferred. */
export function acknowledged(command: string): QueryResult {
  return { command, rowCount: null, rows: [], fields: [] }
}

/** The class of queries that a client of `pg` makes itself: a program may have several copies of `pg`. */
export function queryClassOf(client: PgClient): QueryClass {
  return (client.constructor as unknown as { Query: QueryClass }).Query
}
