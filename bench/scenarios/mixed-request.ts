import type { Layer } from '../layers/layer.ts'
import { type Comparison, type Scenario, variant } from '../scenario.ts'
import { concurrently } from './concurrently.ts'
import type { Field } from '../layers/field.ts'

const VERSIONS = ['0.45', '1.0'] as const

/** Three statements of Drizzle and three of Kysely, Kysely's transaction inside Drizzle's. */
function request(drizzle: Layer, kysely: Layer): Promise<unknown> {
  return drizzle.transaction(async (tx) => {
    await tx.find(500)
    await tx.add('one')
    await tx.add('two')
    await kysely.transaction(async (trx) => {
      await trx.find(501)
      await trx.add('three')
      await trx.add('four')
    })
  })
}

function requests(field: Field, run: (request: () => Promise<unknown>) => Promise<unknown>) {
  return VERSIONS.flatMap((version) => [
    variant(`two pools, drizzle ${version}`, () =>
      run(() => request(field.stock[`drizzle ${version}`], field.stock.kysely)),
    ),
    variant(`bridge, drizzle ${version}`, () => {
      const { drizzle, kysely } = field.together[version]
      return run(() => request(drizzle, kysely))
    }),
  ])
}

function comparisons(target: Pick<Comparison, 'limit' | 'goals'>): Comparison[] {
  return VERSIONS.map((version) => ({
    of: `bridge, drizzle ${version}`,
    to: `two pools, drizzle ${version}`,
    ...target,
  }))
}

export const mixedRequest: Scenario = {
  name: 'mixed-request',
  title: "3 statements of Drizzle and 3 of Kysely, Kysely's transaction inside Drizzle's",
  adds: 4,
  variants: (field) => requests(field, (one) => one()),
  comparisons: comparisons({ limit: '7/10', goals: { '2 ms': { wall: 0.75 } } }),
}

const CONCURRENT = 20
const TOGETHER = 40

export const mixedRequestSaturated: Scenario = {
  name: 'mixed-request-saturated',
  title: `the same, ${CONCURRENT} at once: one pool of 10 against two of 5, time per request`,
  links: ['2 ms'],
  pools: { stock: 5, shared: 10 },
  adds: 4 * TOGETHER,
  parts: () => TOGETHER,
  variants: (field) => requests(field, (one) => concurrently(CONCURRENT, TOGETHER, one)),
  comparisons: comparisons({ limit: '7/20', goals: { '2 ms': { wall: 0.5 } } }),
}
