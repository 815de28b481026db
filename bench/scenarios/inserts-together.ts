import type { Layer } from '../layers/layer.ts'
import { bridgeToStock, onEveryLayer, type Scenario, variant } from '../scenario.ts'

export const TEXTS = Array.from({ length: 10 }, (_, at) => `note ${at}`)
const VERSIONS = ['0.45', '1.0'] as const

/** Issues the inserts at once, alternately through both layers. */
export function addAtOnce(one: Layer, other: Layer): Promise<unknown> {
  return Promise.all(TEXTS.map((text, at) => (at % 2 === 0 ? one : other).add(text)))
}

const target = { limit: '2/12', goals: { '2 ms': { wall: 0.2 } } } as const

export const insertsTogether: Scenario = {
  name: 'inserts-together',
  title: '`Promise.all` of ten inserts in a transaction',
  adds: TEXTS.length,
  variants: (field) => [
    ...onEveryLayer(
      field,
      (layer) => () => layer.transaction((inside) => addAtOnce(inside, inside)),
    ),
    ...VERSIONS.map((version) => {
      const { drizzle, kysely } = field.together[version]
      return variant(`both layers, drizzle ${version} + bridge`, () =>
        drizzle.transaction((inside) => addAtOnce(inside, kysely)),
      )
    }),
  ],
  comparisons: [
    ...bridgeToStock(target),
    ...VERSIONS.flatMap((version) => [
      { of: `both layers, drizzle ${version} + bridge`, to: `drizzle ${version}`, ...target },
      { of: `both layers, drizzle ${version} + bridge`, to: 'kysely', ...target },
    ]),
  ],
}
