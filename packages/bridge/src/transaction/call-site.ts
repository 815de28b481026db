/** Where a call of the user's began: a stack trace, which becomes a text only if that is read. */
export interface CallSite {
  readonly stack?: string
  /** How many lines on top are the bridge's, where only their number tells them from the user's. */
  own?: number
}

/** How many of the user's lines tell where a block began, unless more than V8's own ten are asked for. */
const LINES = 4
/** However deep: the user's lines stand behind many of the bridge's and of a layer's. */
const ALL_LINES = 100

/** The stack where the user has called the bridge, `own` of whose functions stand in between. */
export function callSiteAbove(own: number): CallSite {
  // each line costs time, in every transaction
  const { stackTraceLimit } = Error
  const lines = stackTraceLimit > 10 ? stackTraceLimit : Math.min(stackTraceLimit, LINES)
  const callSite = capture(lines === 0 ? 0 : lines + own + CAPTURING, callSiteAbove)
  if (OWN_FOLDER === undefined) callSite.own = isWritable() ? own + CAPTURING : own
  return callSite
}

/**
 * As a stack trace names it, by path or by URL. In a bundle there is none: the bridge's code and the
 * user's are in one file, which is not called what this one is.
 */
const OWN_FOLDER =
  /(?:\(|at )(?:async )?([^()]*[/\\])transaction[/\\]call-site\.[jt]s:\d+:\d+/.exec(
    String(new Error().stack).split('\n')[1] ?? '',
  )?.[1]

/** The stack here. */
export function callSiteHere(): CallSite {
  return capture(ALL_LINES, callSiteHere)
}

/** The functions here that stand on top. */
const CAPTURING = 2

function capture(lines: number, above: (own: number) => CallSite): CallSite {
  const { stackTraceLimit } = Error
  if (stackTraceLimit === lines) return new Error()
  if (!isWritable()) {
    // where a program has fixed the number of lines, none is to be spent on those here
    const callSite: CallSite = {}
    Error.captureStackTrace(callSite, above)
    return callSite
  }
  Error.stackTraceLimit = lines
  // takes less time than captureStackTrace()
  const callSite = new Error()
  Error.stackTraceLimit = stackTraceLimit
  return callSite
}

/** Whether the number of lines can be set: a program may have frozen or deleted it. */
function isWritable(): boolean {
  return Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true
}

/** An origin as lines of a trace, to stand in a message: the user's, if there are any. */
export function linesOf({ stack = '', own = 0 }: CallSite): string {
  const all = stack.split('\n').slice(1 + own)
  const others = all.filter((line) => OWN_FOLDER === undefined || !line.includes(OWN_FOLDER))
  // the lines of a layer alone would tell the user nothing
  const users = others.filter((line) => !line.includes('node_modules'))
  const lines = users.length > 0 ? users : others
  // in a bundle the user's lines may stand behind any number of the bridge's
  const isMixed = OWN_FOLDER === undefined && own === 0
  return lines.slice(0, isMixed ? ALL_LINES : Error.stackTraceLimit).join('\n')
}
