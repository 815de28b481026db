import { fileURLToPath } from 'node:url'

/** Where a call of the user's began: a stack trace, which becomes a text only if that is read. */
export interface Origin {
  readonly stack?: string
}

/** How many of the user's lines tell where a block began, unless more than V8's own ten are asked for. */
const LINES = 4
/** However deep: the user's lines stand behind many of the bridge's and of a layer's. */
const ALL_LINES = 100

/** The stack where the user has called the bridge, `own` of whose functions stand in between. */
export function originAbove(own: number): Origin {
  // each line costs time, in every transaction
  const { stackTraceLimit } = Error
  const lines = stackTraceLimit > 10 ? stackTraceLimit : Math.min(stackTraceLimit, LINES)
  return capture(lines === 0 ? 0 : lines + own + CAPTURING, originAbove)
}

/** As it stands in a stack trace, whether that names files by path or by URL. */
const OWN_FOLDER = fileURLToPath(new URL('..', import.meta.url))

/** The stack here. */
export function originHere(): Origin {
  return capture(ALL_LINES, originHere)
}

/** The functions here that stand on top. */
const CAPTURING = 2

function capture(lines: number, above: (own: number) => Origin): Origin {
  const { stackTraceLimit } = Error
  if (stackTraceLimit === lines) return new Error()
  if (!isWritable()) {
    // where a program has fixed the number of lines, none is to be spent on those here
    const origin: Origin = {}
    Error.captureStackTrace(origin, above)
    return origin
  }
  Error.stackTraceLimit = lines
  // takes less time than captureStackTrace()
  const origin = new Error()
  Error.stackTraceLimit = stackTraceLimit
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
