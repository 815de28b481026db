import { isOneCommand } from './control-command.ts'
import { Scanner } from './scanner.ts'

const READERS: ReadonlySet<string> = new Set([
  'select',
  'show',
  'values',
  'table',
  'begin',
  'start',
  'commit',
  'end',
  'rollback',
  'abort',
  'savepoint',
  'release',
  'set',
])

/**
 * Whether a text begins like one that writes nothing, which is all that can be said without
 * parsing it. Where it matters, what is not surely a read counts as a write.
 */
export function readsOnly(text: string): boolean {
  return READERS.has(new Scanner(text).word()) && isOneCommand(text)
}
