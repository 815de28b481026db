import type { Pool, PoolClient } from 'pg'
import type { Transcript } from './transcript.ts'

/** The part of pg's protocol connection that sends messages. */
interface ProtocolConnection {
  parse(message: { name?: string; text: string }): void
  bind(message: { statement?: string; values?: readonly unknown[] }): void
  query(text: string): void
  readonly stream: { write(bytes: Buffer, ...rest: unknown[]): boolean }
}

const CONTROL = /^(begin|start transaction|savepoint|release|rollback|commit|set transaction)\b/i

/** Records statements at the clients, for tests without subscribers of the channels. */
export function tap(pool: Pool): Transcript {
  let lines: string[] = []
  const note = (text: string, values: readonly unknown[] = []): void => {
    const verb = text.trim().split(/\s/, 1)[0]?.toLowerCase() ?? ''
    lines.push(CONTROL.test(text) ? text : [verb, ...values.map(String)].join(' '))
  }
  const listenAt = (client: PoolClient): void => {
    const { connection } = client as unknown as { connection: ProtocolConnection }
    const parse = connection.parse.bind(connection)
    const bind = connection.bind.bind(connection)
    const query = connection.query.bind(connection)
    const texts = new Map<string, string>()
    connection.parse = (message) => {
      texts.set(message.name ?? '', message.text)
      parse(message)
    }
    connection.bind = (message) => {
      note(texts.get(message.statement ?? '') ?? '', message.values)
      bind(message)
    }
    // Piggybacked commands are written as bytes: a Parse with more messages after it.
    const { stream } = connection
    const write = stream.write.bind(stream)
    stream.write = (bytes, ...rest) => {
      const isParse = bytes[0] === 'P'.charCodeAt(0)
      if (isParse && bytes.length > 1 + bytes.readInt32BE(1)) {
        note(bytes.toString('utf8', 6, bytes.indexOf(0, 6)))
      }
      return write(bytes, ...rest)
    }
    connection.query = (text) => {
      note(text)
      query(text)
    }
  }
  pool.on('connect', listenAt)
  return {
    lines: () => lines,
    events: () => [],
    clear: () => {
      lines = []
    },
    stop: () => pool.off('connect', listenAt),
  }
}
