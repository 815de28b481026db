import { heapOfObjects } from '../heap.ts'
import { openField, type Together } from '../layers/field.ts'
import { deleteNotes } from '../layers/schema.ts'
import type { Probe } from '../probe.ts'
import { slope } from '../statistics.ts'
import { concurrently } from './concurrently.ts'

const SAMPLES = 20
const AT_ONCE = 5
// Objects that happen to live at the time of a sample make about that difference.
const MOST_GROWTH = 2 ** 20

/** A transaction of both layers, with a savepoint and a hook. */
function transaction({ drizzle, kysely, shared }: Together): Promise<unknown> {
  return drizzle.transaction(async (tx) => {
    await tx.add('one')
    await kysely.transaction((trx) => trx.add('two'))
    await shared.afterCommit(() => {})
  })
}

export const heapGrowth: Probe = {
  name: 'heap-growth',
  title: 'growth of the heap over many transactions with a savepoint and a hook',
  async read({ url, observer, transactions }) {
    const field = openField(url, { stock: AT_ONCE, shared: AT_ONCE })
    const together = field.together['0.45']
    const run = (times: number) => concurrently(AT_ONCE, times, () => transaction(together))
    await run(Math.min(2_000, transactions))
    const each = Math.ceil(transactions / SAMPLES)
    const points: [number, number][] = []
    for (let sample = 0; sample < SAMPLES; sample++) {
      await run(each)
      points.push([(sample + 1) * each, await heapOfObjects()])
      await deleteNotes(observer)
    }
    await field.close()
    const { slope: perTransaction, error } = slope(points)
    const total = perTransaction * each * SAMPLES
    return [
      {
        name: `over ${each * SAMPLES} transactions`,
        value: Math.round(perTransaction * 1_000) / 1_000,
        unit: 'bytes per transaction',
        uncertainty: Math.round(error * 1_000) / 1_000,
        goal: 'no growth beyond doubt',
        met: perTransaction <= 3 * error || total <= MOST_GROWTH,
      },
    ]
  },
}
