import type { Layer } from '../layers/layer.ts'
import { bridgeToHandWritten, bridgeToStock, onEveryLayer, type Scenario } from '../scenario.ts'

export function addTwo(layer: Layer): Promise<unknown> {
  return layer.transaction(async (inside) => {
    await inside.add('one')
    await inside.add('two')
  })
}

export const twoInserts: Scenario = {
  name: 'two-inserts',
  title: 'transaction of two inserts',
  adds: 2,
  variants: (field) => onEveryLayer(field, (layer) => () => addTwo(layer)),
  comparisons: [
    ...bridgeToStock({
      limit: '3/4',
      goals: { loopback: { wall: 0.78 }, '2 ms': { wall: 0.78 } },
    }),
    ...bridgeToHandWritten({ limit: '3/4' }),
  ],
}
