import type { Variant } from './scenario.ts'

/** The mean cost of one operation of a batch, in milliseconds. */
export interface Cost {
  readonly wall: number
  /** CPU time of this process, without the server and the proxy. */
  readonly cpu: number
}

/** Runs the operation of a variant repeatedly, one run after the other. */
export async function runBatch(variant: Variant, operations: number): Promise<Cost> {
  let cost: Cost | undefined
  await variant.run(async (operation) => {
    const cpuBefore = process.cpuUsage()
    const start = performance.now()
    for (let count = 0; count < operations; count++) await operation()
    const wall = performance.now() - start
    const { user, system } = process.cpuUsage(cpuBefore)
    cost = { wall: wall / operations, cpu: (user + system) / 1_000 / operations }
  })
  if (cost === undefined) throw new Error(`${variant.name} has measured nothing`)
  return cost
}
