import { heapOfObjects } from '../heap.ts'
import type { Layer } from '../layers/layer.ts'
import type { Probe } from '../probe.ts'
import { bytesOfLayers } from './bytes-of-layers.ts'

const OPEN = 20
const TIMES = 3

/** The heap size of each of many open transactions, in bytes. */
async function takenBy(layer: Layer): Promise<number> {
  const before = await heapOfObjects()
  const end = Promise.withResolvers<void>()
  const opened: Promise<unknown>[] = []
  const ended = Array.from({ length: OPEN }, () => {
    const begun = Promise.withResolvers<void>()
    opened.push(begun.promise)
    return layer.transaction(async (inside) => {
      await inside.add('one')
      begun.resolve()
      await end.promise
    })
  })
  await Promise.race([Promise.all(opened), Promise.all(ended)])
  const taken = ((await heapOfObjects()) - before) / OPEN
  end.resolve()
  await Promise.all(ended)
  return taken
}

export const openTransactions: Probe = {
  name: 'heap-open',
  title: `heap that each of ${OPEN} open transactions takes`,
  read: ({ url }) => bytesOfLayers(url, { stock: OPEN, shared: OPEN }, TIMES, takenBy),
}
