/** What went over the wire between each savepoint and its end, and its end, in the order of the wire. */
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

/** The same blocks in an order that does not depend on who came first. */
export function inOrder(blocks: readonly string[][]): string[][] {
  return blocks.toSorted((one, other) => (one.join() < other.join() ? -1 : 1))
}
