import type { PgConnection } from './pg.ts'

const known = new Map<string, Buffer>()
/** An application has fewer names of savepoints than this, and so many take little memory. */
const MOST = 100

/**
 * The messages Parse, Bind and Execute of a command without values. There are few control commands,
 * and they repeat, so each is encoded once.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export function encoded(text: string): Buffer {
  let bytes = known.get(text)
  if (bytes === undefined) {
    bytes = Buffer.concat([
      // No statement name, the text, no parameter types.
      message('P', `\0${text}\0\0\0`),
      // No portal, no statement name, no formats, no values, results as text.
      message('B', '\0\0\0\0\0\0\0\x01\0\0'),
      // No portal, all rows.
      message('E', '\0\0\0\0\0'),
    ])
    if (known.size < MOST) known.set(text, bytes)
  }
  return bytes
}

/** Writes commands in front of a query, before its Sync. */
export function writeCommands(
  { stream }: PgConnection,
  commands: readonly { readonly sql: string }[],
): void {
  // pg does not write to a closed stream either: the client reports the loss by itself.
  if (stream.writable === false) return
  for (const { sql } of commands) stream.write(encoded(sql))
}

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(4 + Buffer.byteLength(body), 1)
  return Buffer.concat([head, Buffer.from(body)])
}
