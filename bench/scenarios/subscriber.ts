import { tracingChannel } from 'node:diagnostics_channel'
import { CHANNELS } from 'shared-connection'
import { bridged, type Field, type LayerName } from '../layers/field.ts'
import type { Layer } from '../layers/layer.ts'
import { items } from '../layers/schema.ts'
import { type Comparison, type Scenario, type Variant, variant } from '../scenario.ts'
import { addTwo } from './two-inserts.ts'

const LISTENED: readonly LayerName[] = ['pg', 'kysely', 'drizzle 0.45', 'drizzle 1.0']

let events = 0
const hear = (): void => {
  events++
}
const subscriber = { start: hear, end: hear, asyncStart: hear, asyncEnd: hear, error: hear }

/** Runs the variant with a subscriber on the query channel. */
function heard(unheard: Variant): Variant {
  const channel = tracingChannel(CHANNELS.query)
  return {
    name: `${unheard.name}, heard`,
    async run(measure) {
      events = 0
      channel.subscribe(subscriber)
      try {
        await unheard.run(measure)
      } finally {
        channel.unsubscribe(subscriber)
      }
      if (events === 0) throw new Error('nothing was heard')
    },
  }
}

function unheardAndHeard(field: Field, operation: (layer: Layer) => Promise<unknown>): Variant[] {
  return LISTENED.flatMap((name) => {
    const layer = field.shared[name]
    const unheard = variant(layer.name, () => operation(layer))
    return [unheard, heard(unheard)]
  })
}

const comparisons: readonly Comparison[] = LISTENED.map((name) => ({
  of: `${bridged(name)}, heard`,
  to: bridged(name),
}))

export const subscribers: readonly Scenario[] = [
  {
    name: 'subscriber-point-query',
    title: 'point query, with a subscriber to the channel of queries and without',
    links: ['loopback'],
    result: [items[499]],
    variants: (field) => unheardAndHeard(field, (layer) => layer.find(500)),
    comparisons,
  },
  {
    name: 'subscriber-two-inserts',
    title: 'transaction of two inserts, with a subscriber to the channel of queries and without',
    links: ['loopback'],
    adds: 2,
    variants: (field) => unheardAndHeard(field, addTwo),
    comparisons,
  },
]
