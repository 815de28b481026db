import { oldObjects } from '../heap.ts'
import { LAYERS, openField } from '../layers/field.ts'
import type { Layer } from '../layers/layer.ts'
import type { Probe, Reading } from '../probe.ts'
import { median } from '../statistics.ts'
import { addTwo } from './two-inserts.ts'

const TRANSACTIONS = 1_000
const TIMES = 5

/** How much of a transaction comes among the old objects, in bytes: until the next full collection. */
async function promotedBy(layer: Layer): Promise<number> {
  globalThis.gc?.()
  const before = oldObjects()
  for (let count = 0; count < TRANSACTIONS; count++) await addTwo(layer)
  globalThis.gc?.({ type: 'minor' })
  return (oldObjects() - before) / TRANSACTIONS
}

async function read(url: string): Promise<readonly Reading[]> {
  const field = openField(url, { stock: 1, shared: 1 })
  const readings: Reading[] = []
  for (const layer of LAYERS.flatMap((name) => [field.stock[name], field.shared[name]])) {
    const promoted: number[] = []
    // in the first ones the code is compiled
    for (let time = 0; time <= TIMES; time++) promoted.push(await promotedBy(layer))
    const kept = promoted.slice(1)
    readings.push({
      name: layer.name,
      value: Math.round(median(kept)),
      unit: 'bytes per transaction',
      uncertainty: Math.round((Math.max(...kept) - Math.min(...kept)) / 2),
    })
  }
  await field.close()
  return readings
}

export const promoted: Probe = {
  name: 'heap-promoted',
  title: 'what a transaction of two inserts leaves to the next full collection of garbage',
  read: ({ url }) => read(url),
}
