import type { PgConnection } from './pg.ts'

const known = new Map<string, Buffer>()
/** More than the names of savepoints in an application; fewer than what could fill a memory. */
const MOST = 100

/**
 * The messages that run a command without values, one behind the other: Parse, Bind and Execute.
 * Control commands are few and always the same, so they are encoded once.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export function encoded(text: string): Buffer {
  let bytes = known.get(text)
  if (bytes === undefined) {
    bytes = Buffer.concat([
      // no name, the text, no types of parameters
      message('P', `\0${text}\0\0\0`),
      // no portal, no name; no formats, no values; results as text
      message('B', '\0\0\0\0\0\0\0\x01\0\0'),
      // no portal, all rows
      message('E', '\0\0\0\0\0'),
    ])
    if (known.size < MOST) known.set(text, bytes)
  }
  return bytes
}

/** Writes commands in front of a query, before its Sync. */
export function writeCommands({ stream }: PgConnection, texts: readonly string[]): void {
  // as pg does: what has closed tells of that itself
  if (stream.writable === false) return
  for (const text of texts) stream.write(encoded(text))
}

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(4 + Buffer.byteLength(body), 1)
  return Buffer.concat([head, Buffer.from(body)])
}
