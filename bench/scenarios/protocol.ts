import { withRawConnection } from '../protocol/raw-connection.ts'
import { TRIPS } from '../protocol/trips.ts'
import type { Scenario } from '../scenario.ts'

type Measured = keyof typeof TRIPS

const ADDED = {
  'two-inserts': 2,
  savepoint: 3,
  'five-levels': 5,
  'inserts-together': 10,
  batch: 10,
} as const satisfies { readonly [M in Measured]: number }

const MEASURED = Object.keys(TRIPS) as readonly Measured[]
const WAYS = ['stock', 'merged'] as const

/** Measures the same round trips without pg, the layers and the bridge. That is the lower limit. */
export const protocol: Scenario = {
  name: 'protocol',
  title: 'the round trips alone, on raw sockets with bytes made beforehand',
  links: ['loopback'],
  adds: (name) => ADDED[scenarioOf(name) as Measured],
  variants: ({ pool }) =>
    MEASURED.flatMap((measured) =>
      WAYS.map((way) => ({
        name: nameOf(measured, way),
        run: (measure) =>
          withRawConnection(pool, (send) => measure(() => send(TRIPS[measured][way]))),
      })),
    ),
  comparisons: MEASURED.map((measured) => ({
    of: nameOf(measured, 'merged'),
    to: nameOf(measured, 'stock'),
    limit: `${TRIPS[measured].merged.length}/${TRIPS[measured].stock.length}`,
  })),
}

function nameOf(measured: Measured, way: (typeof WAYS)[number]): string {
  return `${measured}, ${way} trips`
}

/** Finds the scenario that has the round trips of a variant. */
export function scenarioOf(variantName: string): string {
  return variantName.split(',')[0] ?? ''
}
