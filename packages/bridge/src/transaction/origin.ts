import { fileURLToPath } from 'node:url'

/** Where a call of the user's began: a stack trace, without the cost of an error. */
export interface Origin {
  readonly stack?: string
}

/** How many lines of a stack tell where a block began. Each costs time, in every transaction. */
const LINES = 6

/** The stack above `entry`, which is the function of the bridge that the user's code has called. */
export function originAbove(entry: (...args: never[]) => unknown, lines = LINES): Origin {
  const origin: Origin = {}
  const { stackTraceLimit } = Error
  // who wants none gets none
  Error.stackTraceLimit = Math.min(stackTraceLimit, lines)
  Error.captureStackTrace(origin, entry)
  Error.stackTraceLimit = stackTraceLimit
  return origin
}

/** As it stands in a stack trace, whether that names files by path or by URL. */
const OWN_FOLDER = fileURLToPath(new URL('..', import.meta.url))

/** The stack here, however deep: the user's lines stand behind many of the bridge's and of a layer's. */
export function originHere(): Origin {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 100
  const origin = originAbove(originHere, 100)
  Error.stackTraceLimit = stackTraceLimit
  return origin
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
