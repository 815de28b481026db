import { Scanner } from './scanner.ts'

/**
 * Commands that must be answered before the next statement is sent: DEALLOCATE and DISCARD make names
 * of prepared statements invalid, and COPY reads the messages after it as data.
 */
const LONERS: ReadonlySet<string> = new Set(['copy', 'deallocate', 'discard'])

/** Whether a statement cannot be pipelined with others. */
export function leavesAlone(text: string): boolean {
  // The first letter rules out nearly all statements: `select`, `insert`, `update` and `with`.
  const first = text.charCodeAt(0) | 0x20
  if (first === 0x73 || first === 0x69 || first === 0x75 || first === 0x77) return false
  const scanner = new Scanner(text)
  scanner.skipEmptyCommands()
  return LONERS.has(scanner.word())
}
