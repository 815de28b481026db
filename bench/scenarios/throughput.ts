import { bridgeToHandWritten, bridgeToStock, onEveryLayer, type Scenario } from '../scenario.ts'
import { concurrently } from './concurrently.ts'
import { addTwo } from './two-inserts.ts'

function throughput(atOnce: number, clients: number): Scenario {
  const requests = Math.max(atOnce, 4)
  return {
    name: `throughput-${atOnce}-on-${clients}`,
    title: `transactions of two inserts, ${atOnce} at once on pools of ${clients}, time per transaction`,
    links: ['loopback', '2 ms'],
    pools: { stock: clients, shared: clients },
    adds: 2 * requests,
    parts: () => requests,
    variants: (field) =>
      onEveryLayer(field, (layer) => () => concurrently(atOnce, requests, () => addTwo(layer))),
    comparisons: [...bridgeToStock({ limit: '3/4' }), ...bridgeToHandWritten({ limit: '3/4' })],
  }
}

export const throughputs: readonly Scenario[] = [5, 20].flatMap((clients) =>
  [1, 8, 64].map((atOnce) => throughput(atOnce, clients)),
)
