import type { PgClient } from '../protocol/pg.ts'

/** How many milliseconds the server has to accept a CancelRequest. */
const PATIENCE = 5_000

/** After how many milliseconds a statement that still runs is cancelled again. */
const AGAIN = 500

/** The protocol connection of `pg`, as far as a CancelRequest needs it. */
interface RequestConnection {
  readonly stream: { destroy(): void }
  on(event: string, listener: (error: Error) => void): void
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processID: number, secretKey: unknown): void
}

/**
 * Cancels what a session runs now. The request has a connection of its own and carries the key of
 * the session, so it finds the session behind a pooler too, where pg_cancel_backend() would not.
 * Resolves when the server has closed that connection: from then on the request cannot hit a later
 * statement. `stream` makes the socket, if the user has configured that.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export async function requestCancel(client: PgClient, stream?: unknown): Promise<void> {
  const { host, port, processID, secretKey, ssl, sslNegotiation } = client
  if (processID === null || processID === undefined) {
    throw new Error('the server has given no key to cancel with')
  }
  const Connection = client.connection.constructor as new (config: object) => RequestConnection
  const connection = new Connection({
    ssl,
    sslNegotiation,
    ...(stream !== undefined && { stream }),
  })
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  const request = (): void => connection.cancel(processID, secretKey)
  connection.on('connect', () => {
    if (!ssl) request()
    else if (sslNegotiation !== 'direct') connection.requestSsl()
  })
  connection.on('sslconnect', request)
  connection.on('error', reject)
  connection.on('end', () => resolve())
  const timer = setTimeout(() => {
    reject(new Error(`the server has not taken the request to cancel within ${PATIENCE} ms`))
    connection.stream.destroy()
  }, PATIENCE)
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
  // A name may have several addresses. With TLS the certificate is for the name.
  else connection.connect(port, (ssl ? undefined : client.connection.stream.remoteAddress) ?? host)
  try {
    await closed
  } finally {
    clearTimeout(timer)
  }
}

/** The CancelRequests for one connection. */
export class CancelRequests {
  readonly #request: (reason: unknown) => Promise<void>
  #timer: NodeJS.Timeout | undefined
  /** Pending while a request is in flight: a statement that was sent now could be hit by it. */
  inFlight: Promise<void> | undefined
  /** Whether there will be another request. */
  isRepeating = false

  constructor(request: (reason: unknown) => Promise<void>) {
    this.#request = request
  }

  /** Sends requests until `isOver`: one that arrives before the statement has no effect. */
  start(reason: unknown, isOver: () => boolean): void {
    this.stop()
    this.inFlight ??= this.#request(reason).finally(() => {
      this.inFlight = undefined
      if (!isOver()) this.#repeat(reason, isOver)
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.isRepeating = false
  }

  #repeat(reason: unknown, isOver: () => boolean): void {
    this.isRepeating = true
    this.#timer = setTimeout(() => {
      this.isRepeating = false
      if (!isOver()) this.start(reason, isOver)
    }, AGAIN)
  }
}
