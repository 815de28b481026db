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
 * Whether a text begins with a word of a command that only reads. More cannot be known without parsing
 * it. `with` counts as a write, for example, because it may contain one.
 */
export function readsOnly(text: string): boolean {
  return READERS.has(new Scanner(text).word()) && isOneCommand(text)
}
