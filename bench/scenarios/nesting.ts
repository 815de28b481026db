import type { Layer } from '../layers/layer.ts'
import { type Comparison, LINEAR, type Scenario, variant } from '../scenario.ts'

const DEPTHS = [1, 10, 100]
const WHO = ['kysely', 'drizzle 0.45', 'drizzle 1.0'] as const

async function nest(layer: Layer, levels: number): Promise<void> {
  await layer.transaction(async (inside) => {
    await inside.add(`level ${levels}`)
    if (levels > 1) await nest(inside, levels - 1)
  })
}

export const nesting: Scenario = {
  name: 'nesting',
  title: 'levels of nesting with one insert each, time per level',
  links: ['loopback'],
  adds: levelsOf,
  parts: levelsOf,
  variants: (field) =>
    WHO.flatMap((name) => [field.stock[name], field.shared[name]]).flatMap((layer) =>
      DEPTHS.map((levels) => variant(`${levels} × ${layer.name}`, () => nest(layer, levels))),
    ),
  comparisons: WHO.flatMap((name): Comparison[] => [
    {
      of: `100 × ${name} + bridge`,
      to: `10 × ${name} + bridge`,
      limit: '1.01/1.1',
      goals: { loopback: LINEAR },
    },
    { of: `100 × ${name}`, to: `10 × ${name}` },
    { of: `100 × ${name} + bridge`, to: `100 × ${name}`, limit: '101/300' },
  ]),
}

function levelsOf(variantName: string): number {
  return Number.parseInt(variantName)
}
