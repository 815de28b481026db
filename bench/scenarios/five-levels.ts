import type { Together } from '../layers/field.ts'
import { inSavepoint, type Layer } from '../layers/layer.ts'
import { ByHand, type OneClient } from '../layers/one-client.ts'
import { type Comparison, type Scenario, variant } from '../scenario.ts'

const LEVELS = 5

/** The layers alternate from level to level, and use their global objects. */
async function alternate(together: Together, level = 1): Promise<void> {
  const layer = level % 2 === 1 ? together.drizzle : together.kysely
  await layer.transaction(async () => {
    await layer.add(`level ${level}`)
    if (level < LEVELS) await alternate(together, level + 1)
  })
}

async function alternateByHand(on: OneClient, level = 1): Promise<void> {
  const layer = level % 2 === 1 ? on.drizzle : on.kysely
  await layer.add(`level ${level}`)
  if (level === LEVELS) return
  await inSavepoint(
    level,
    (sql) => on.send(sql),
    () => alternateByHand(on, level + 1),
  )
}

export async function nest(layer: Layer, level = 1): Promise<unknown> {
  await layer.add(`level ${level}`)
  return level < LEVELS ? layer.transaction((inside) => nest(inside, level + 1)) : undefined
}

export const fiveLevels: Scenario = {
  name: 'five-levels',
  title: 'five levels that alternate between Drizzle and Kysely, one insert each',
  adds: LEVELS,
  variants(field) {
    const byHand = { '0.45': new ByHand(field.pool, '0.45'), '1.0': new ByHand(field.pool, '1.0') }
    return [
      variant('pg', () => field.stock.pg.transaction((inside) => nest(inside))),
      ...(['0.45', '1.0'] as const).flatMap((version) => [
        variant(`one client, manual, drizzle ${version}`, () =>
          byHand[version].transaction((on) => alternateByHand(on)),
        ),
        variant(`bridge, drizzle ${version}`, () => alternate(field.together[version])),
      ]),
    ]
  },
  comparisons: (['0.45', '1.0'] as const).flatMap((version): Comparison[] => [
    {
      of: `bridge, drizzle ${version}`,
      to: `one client, manual, drizzle ${version}`,
      limit: '6/15',
      goals: { '2 ms': { wall: 0.42 } },
    },
    { of: `bridge, drizzle ${version}`, to: 'pg', limit: '6/15' },
  ]),
}
