/** The stack trace of a call by the user. V8 formats it only when `stack` is read. */
export interface CallSite {
  readonly stack?: string
  /** How many lines on top are the bridge's, where only their number tells them from the user's. */
  own?: number
}

/** The number of stack lines for the start of a block. A program that raised V8's limit of 10 gets its own. */
const LINES = 4
/** Enough lines to reach the user's code behind those of the bridge and of a layer. */
const ALL_LINES = 100

/** Captures the stack of the user's call. `own` is the number of functions of the bridge above it. */
export function callSiteAbove(own: number): CallSite {
  // Every line costs time in every transaction.
  const { stackTraceLimit } = Error
  const lines = stackTraceLimit > 10 ? stackTraceLimit : Math.min(stackTraceLimit, LINES)
  const callSite = capture(lines === 0 ? 0 : lines + own + CAPTURING, callSiteAbove)
  if (OWN_FOLDER === undefined) callSite.own = isWritable() ? own + CAPTURING : own
  return callSite
}

/**
 * The folder of the bridge as stack traces name it, by path or by URL. A bundle has none: there the bridge
 * and the user's code are in one file.
 */
const OWN_FOLDER =
  /(?:\(|at )(?:async )?([^()]*[/\\])transaction[/\\]call-site\.[jt]s:\d+:\d+/.exec(
    String(new Error().stack).split('\n')[1] ?? '',
  )?.[1]

/** Captures the whole stack at the calling code. */
export function callSiteHere(): CallSite {
  return capture(ALL_LINES, callSiteHere)
}

/** The number of functions of this file on top of the stack. */
const CAPTURING = 2

function capture(lines: number, above: (own: number) => CallSite): CallSite {
  const { stackTraceLimit } = Error
  if (stackTraceLimit === lines) return new Error()
  if (!isWritable()) {
    // The program has fixed the number of lines, so none may be spent on the functions here.
    const callSite: CallSite = {}
    Error.captureStackTrace(callSite, above)
    return callSite
  }
  Error.stackTraceLimit = lines
  // An Error costs less time than captureStackTrace().
  const callSite = new Error()
  Error.stackTraceLimit = stackTraceLimit
  return callSite
}

/** True unless the program has frozen or deleted the limit. */
function isWritable(): boolean {
  return Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true
}

/** Stands for a place of which nothing was kept. */
const NO_LINES = '    at a place that was not kept: set Error.stackTraceLimit to 10 to see it'

/** Formats a call site for an error message: the lines of the user's code, if there are any. */
export function linesOf({ stack = '', own = 0 }: CallSite): string {
  const all = stack.split('\n').slice(1 + own)
  const others = all.filter((line) => OWN_FOLDER === undefined || !line.includes(OWN_FOLDER))
  // Lines of a layer alone would not help the user.
  const users = others.filter((line) => !line.includes('node_modules'))
  const lines = users.length > 0 ? users : others
  // In a bundle the user's lines may stand behind any number of the bridge's.
  const isMixed = OWN_FOLDER === undefined && own === 0
  const kept = lines.slice(0, isMixed ? ALL_LINES : Error.stackTraceLimit)
  return kept.length > 0 ? kept.join('\n') : NO_LINES
}
