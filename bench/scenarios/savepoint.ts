import type { Layer } from '../layers/layer.ts'
import { bridgeToHandWritten, bridgeToStock, onEveryLayer, type Scenario } from '../scenario.ts'

export function addThree(layer: Layer): Promise<unknown> {
  return layer.transaction(async (inside) => {
    await inside.add('one')
    await inside.add('two')
    await inside.transaction((nested) => nested.add('three'))
  })
}

export const savepoint: Scenario = {
  name: 'savepoint',
  title: 'transaction of two inserts and a savepoint with a third',
  adds: 3,
  variants: (field) => onEveryLayer(field, (layer) => () => addThree(layer)),
  comparisons: [
    ...bridgeToStock({
      limit: '4/7',
      goals: { loopback: { wall: 0.72 }, '2 ms': { wall: 0.6 } },
    }),
    ...bridgeToHandWritten({
      limit: '4/7',
      goals: { loopback: { wall: 1.05 }, '2 ms': { wall: 0.6 } },
    }),
  ],
}
