import type { PgClient } from '../protocol/pg.ts'

/** How many milliseconds the server has to take a request to cancel. */
const PATIENCE = 5_000

/** The protocol connection of `pg`, as far as a request to cancel needs it. */
interface RequestConnection {
  readonly stream: { destroy(): void }
  on(event: string, listener: (error: Error) => void): void
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processID: number, secretKey: unknown): void
}

/**
 * Asks the server to give up what a session runs now, on a connection of its own and with the key
 * that the session was given: behind a pooler this finds the right one, where a process id means
 * nothing. Resolves when the server has closed that connection, so that nothing which is sent later
 * can be hit. `stream` makes its socket, where the user's configuration does.
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
  // a name may have several addresses; with TLS the certificate is for the name
  else connection.connect(port, (ssl ? undefined : client.connection.stream.remoteAddress) ?? host)
  try {
    await closed
  } finally {
    clearTimeout(timer)
  }
}
