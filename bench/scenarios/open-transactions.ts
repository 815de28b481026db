import { heapOfObjects } from '../heap.ts'
import { LAYERS, openField } from '../layers/field.ts'
import type { Layer } from '../layers/layer.ts'
import type { Probe, Reading } from '../probe.ts'
import { median } from '../statistics.ts'

const OPEN = 20
const TIMES = 3

/** What each of the transactions that are open at once takes on the heap, in bytes. */
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

async function read(url: string): Promise<readonly Reading[]> {
  const field = openField(url, { stock: OPEN, shared: OPEN })
  const readings: Reading[] = []
  for (const layer of LAYERS.flatMap((name) => [field.stock[name], field.shared[name]])) {
    const taken: number[] = []
    // the first opens the connections and compiles
    for (let time = 0; time <= TIMES; time++) taken.push(await takenBy(layer))
    const kept = taken.slice(1)
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

export const openTransactions: Probe = {
  name: 'heap-open',
  title: `heap that each of ${OPEN} open transactions takes`,
  read: ({ url }) => read(url),
}
