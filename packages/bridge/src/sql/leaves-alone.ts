import { Scanner } from './scanner.ts'

/**
 * What must be answered before another statement is sent: DEALLOCATE and DISCARD, behind which names
 * mean nothing any more, and COPY, which takes what comes behind it for data.
 */
const LONERS: ReadonlySet<string> = new Set(['copy', 'deallocate', 'discard'])

/** Whether a statement can not leave together with others. */
export function leavesAlone(text: string): boolean {
  // nearly every statement is told by its first letter: select, insert, update, with
  const first = text.charCodeAt(0) | 0x20
  if (first === 0x73 || first === 0x69 || first === 0x75 || first === 0x77) return false
  const scanner = new Scanner(text)
  scanner.skipEmptyCommands()
  return LONERS.has(scanner.word())
}
