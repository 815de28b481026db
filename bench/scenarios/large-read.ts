import { items } from '../layers/schema.ts'
import { bridgeToHandWritten, bridgeToStock, onEveryLayer, type Scenario } from '../scenario.ts'

export const largeRead: Scenario = {
  name: 'large-read',
  title: 'read of 1,000 rows',
  result: items,
  variants: (field) => onEveryLayer(field, (layer) => () => layer.list()),
  comparisons: [...bridgeToStock({ limit: '1/1' }), ...bridgeToHandWritten({ limit: '1/1' })],
}
