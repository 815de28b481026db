/** The inserts of each savepoint, and whether it was rolled back, in the order of the wire. */
export function savepointsOf(lines: readonly string[]): string[][] {
  const blocks: string[][] = []
  let block: string[] | undefined
  for (const line of lines) {
    if (line.startsWith('savepoint')) {
      block = []
      blocks.push(block)
    } else if (line.startsWith('insert')) block?.push(line)
    else {
      if (line.startsWith('rollback to')) block?.push('rollback')
      block = undefined
    }
  }
  return blocks
}

/** Sorts blocks, so that their order on the wire does not matter. */
export function inOrder(blocks: readonly string[][]): string[][] {
  return blocks.toSorted((one, other) => (one.join() < other.join() ? -1 : 1))
}
