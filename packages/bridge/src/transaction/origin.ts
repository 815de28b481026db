import { fileURLToPath } from 'node:url'

/** Where a call of the user's began: a stack trace, without the cost of an error. */
export interface Origin {
  readonly stack?: string
}

/** How many lines of a stack tell where a block began, unless more than V8's own ten are asked for. */
const LINES = 6
/** However deep: the user's lines stand behind many of the bridge's and of a layer's. */
const ALL_LINES = 100

/** The stack above `entry`, which is the function of the bridge that the user's code has called. */
export function originAbove(entry: (...args: never[]) => unknown): Origin {
  // each costs time, in every transaction
  const { stackTraceLimit } = Error
  return capture(entry, stackTraceLimit > 10 ? stackTraceLimit : Math.min(stackTraceLimit, LINES))
}

/** As it stands in a stack trace, whether that names files by path or by URL. */
const OWN_FOLDER = fileURLToPath(new URL('..', import.meta.url))

/** The stack here. */
export function originHere(): Origin {
  return capture(originHere, ALL_LINES)
}

function capture(above: (...args: never[]) => unknown, lines: number): Origin {
  const origin: Origin = {}
  const { stackTraceLimit } = Error
  const isGiven = stackTraceLimit === lines || !isWritable()
  if (!isGiven) Error.stackTraceLimit = lines
  Error.captureStackTrace(origin, above)
  if (!isGiven) Error.stackTraceLimit = stackTraceLimit
  return origin
}

/** Whether the number of lines can be set: a program may have frozen or deleted it. */
function isWritable(): boolean {
  return Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true
}

/** An origin as lines of a trace, to stand in a message: the user's, if there are any. */
export function linesOf({ stack = '' }: Origin): string {
  const all = stack.split('\n').slice(1)
  const others = all.filter((line) => !line.includes(OWN_FOLDER))
  // the lines of a layer alone would tell the user nothing
  const users = others.filter((line) => !line.includes('node_modules'))
  const lines = users.length > 0 ? users : others
  return lines.slice(0, Error.stackTraceLimit).join('\n')
}
