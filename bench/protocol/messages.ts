/** A simple Query, which the server answers at once. */
export function query(sql: string): Buffer {
  return message('Q', terminated(sql))
}

/** A command without parameters, to be followed by a Sync. */
export function command(sql: string): Buffer {
  return Buffer.concat([parse(sql), bind([]), EXECUTE])
}

/** A statement as pg sends it, to be followed by a Sync. */
export function statement(sql: string, values: readonly string[]): Buffer {
  return Buffer.concat([parse(sql), bind(values), DESCRIBE_PORTAL, EXECUTE])
}

export const SYNC = message('S', Buffer.alloc(0))

const DESCRIBE_PORTAL = message('D', Buffer.from('P\0'))
/** The unnamed portal, all rows. */
const EXECUTE = message('E', Buffer.alloc(5))

/** Whether the received bytes end with ReadyForQuery. */
export function isReady(bytes: Buffer): boolean {
  return bytes.length >= 6 && bytes[bytes.length - 6] === 'Z'.charCodeAt(0)
}

/** The unnamed statement, without parameter types. */
function parse(sql: string): Buffer {
  return message('P', Buffer.concat([Buffer.alloc(1), terminated(sql), Buffer.alloc(2)]))
}

/** The unnamed portal and statement, without formats: values and results are text. */
function bind(values: readonly string[]): Buffer {
  const parts = [Buffer.alloc(4), int16(values.length)]
  for (const value of values) parts.push(int32(Buffer.byteLength(value)), Buffer.from(value))
  return message('B', Buffer.concat([...parts, int16(1), int16(0)]))
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

function terminated(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
