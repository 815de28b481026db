import type { Variant } from './scenario.ts'

/** What one operation took, on the average of a batch, in milliseconds. */
export interface Cost {
  readonly wall: number
  /** Of this process: neither the server nor the proxy is in it. */
  readonly cpu: number
}

/** Runs the operation of a variant, one after another. */
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
