import { Scanner } from './scanner.ts'

/** What DISCARD or DEALLOCATE makes the server forget: one prepared statement, `all`, or nothing of them. */
export function deallocation(text: string): { readonly name: string } | 'all' | undefined {
  const scanner = new Scanner(text)
  scanner.skipEmptyCommands()
  const command = scanner.word()
  if (command === 'discard') return scanner.word() === 'all' ? 'all' : undefined
  if (command !== 'deallocate') return undefined
  let isQuoted = scanner.next === '"'
  let name = scanner.name()
  if (!isQuoted && name === 'prepare') {
    isQuoted = scanner.next === '"'
    name = scanner.name() ?? name
  }
  if (name === undefined) return undefined
  return name === 'all' && !isQuoted ? 'all' : { name }
}
