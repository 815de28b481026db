import { Scanner } from './scanner.ts'

/** One prepared statement, or all of them. */
export type Deallocation = { readonly name: string } | 'all'

/** Finds the prepared statements that the DISCARD and DEALLOCATE commands in a text drop. */
export function deallocations(text: string): Deallocation[] {
  const scanner = new Scanner(text)
  const found: Deallocation[] = []
  while (!scanner.done) {
    scanner.skipEmptyCommands()
    const forgotten = deallocation(scanner)
    if (forgotten !== undefined) found.push(forgotten)
    scanner.skipCommand()
  }
  return found
}

function deallocation(scanner: Scanner): Deallocation | undefined {
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
