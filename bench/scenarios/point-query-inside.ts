import { LAYERS } from '../layers/field.ts'
import { items } from '../layers/schema.ts'
import { bridgeToHandWritten, bridgeToStock, type Scenario } from '../scenario.ts'

export const pointQueryInside: Scenario = {
  name: 'point-query-inside',
  title: 'point query, inside a transaction that is open already',
  result: [items[499]],
  variants: (field) =>
    LAYERS.flatMap((name) => [field.stock[name], field.shared[name]]).map((layer) => ({
      name: layer.name,
      run: async (measure) => {
        await layer.transaction(async (inside) => {
          // The first statement sends the deferred BEGIN.
          await inside.find(1)
          await measure(() => inside.find(500))
        })
      },
    })),
  comparisons: [
    ...bridgeToStock({ limit: '1/1', goals: { loopback: { wall: 1.03, cpu: 1.05 } } }),
    ...bridgeToHandWritten({ limit: '1/1' }),
  ],
}
