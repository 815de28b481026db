import { items } from '../layers/schema.ts'
import { bridgeToHandWritten, bridgeToStock, onEveryLayer, type Scenario } from '../scenario.ts'

export const pointQuery: Scenario = {
  name: 'point-query',
  title: 'point query, outside a transaction',
  result: [items[499]],
  variants: (field) => onEveryLayer(field, (layer) => () => layer.find(500)),
  comparisons: [
    ...bridgeToStock({ limit: '1/1', goals: { loopback: { wall: 1.03, cpu: 1.05 } } }),
    ...bridgeToHandWritten({ limit: '1/1' }),
  ],
}
