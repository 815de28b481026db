// The process behind fresh-process.ts: measures one participant, sends the results, and exits.

import { runBatch } from '../batch.ts'
import { loadBridge } from '../bridge-at.ts'
import { variant } from '../scenario.ts'
import { median } from '../statistics.ts'
import type { Costs, Order } from './fresh-process.ts'
import { OPERATION_NAMES, OPERATIONS, type OperationName } from './operations.ts'
import { bridgedBy, type Participant, stock } from './participant.ts'

/** The number of batches. The median is used, since garbage collections fall into a few of them. */
const BATCHES = 20

const order = JSON.parse(process.argv[2] ?? '') as Order
process.send?.(await measure(await open(order), order.times))
process.disconnect?.()

async function open({ way, side, against }: Order): Promise<Participant> {
  if (side === 'stock') return stock(way)
  return bridgedBy(await loadBridge(side === 'before' ? against : undefined), way)
}

async function measure(participant: Participant, times: number): Promise<Costs> {
  const operations = OPERATION_NAMES.map((name) =>
    variant(name, () => OPERATIONS[name](participant)),
  )
  // By count, since on a busy machine V8 would compile less in the same time.
  for (const operation of operations) await runBatch(operation, times)
  const costs = new Map<string, number[]>(operations.map(({ name }) => [name, []]))
  for (let batch = 0; batch < BATCHES; batch++) {
    for (const operation of operations) {
      const { cpu } = await runBatch(operation, Math.ceil(times / 2 / BATCHES))
      costs.get(operation.name)?.push(cpu)
    }
  }
  return Object.fromEntries([...costs].map(([name, each]) => [name, median(each)])) as {
    [N in OperationName]: number
  }
}
