import { bridgeToHandWritten, bridgeToStock, onEveryLayer, type Scenario } from '../scenario.ts'

export const insert: Scenario = {
  name: 'insert',
  title: 'insert, outside a transaction',
  adds: 1,
  variants: (field) => onEveryLayer(field, (layer) => () => layer.add('one')),
  comparisons: [...bridgeToStock({ limit: '1/1' }), ...bridgeToHandWritten({ limit: '1/1' })],
}
