import { oldObjects } from '../heap.ts'
import type { Layer } from '../layers/layer.ts'
import type { Probe } from '../probe.ts'
import { bytesOfLayers } from './bytes-of-layers.ts'
import { addTwo } from './two-inserts.ts'

const TRANSACTIONS = 1_000
const TIMES = 5

/** The bytes of a transaction that are promoted to old space, where they stay until a full collection. */
async function promotedBy(layer: Layer): Promise<number> {
  globalThis.gc?.()
  const before = oldObjects()
  for (let count = 0; count < TRANSACTIONS; count++) await addTwo(layer)
  globalThis.gc?.({ type: 'minor' })
  return (oldObjects() - before) / TRANSACTIONS
}

export const promoted: Probe = {
  name: 'heap-promoted',
  title: 'what a transaction of two inserts leaves to the next full collection of garbage',
  read: ({ url }) => bytesOfLayers(url, { stock: 1, shared: 1 }, TIMES, promotedBy),
}
