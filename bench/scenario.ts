import type { Field, LayerName, PoolSizes } from './layers/field.ts'
import { bridged, LAYERS } from './layers/field.ts'
import type { Layer } from './layers/layer.ts'
import type { LinkName } from './proxy/link.ts'

type Operation = () => Promise<unknown>

/** One way to do what a scenario is about. */
export interface Variant {
  readonly name: string
  /** Calls `measure` with the operation, where things are as the operation needs them. */
  run(measure: (operation: Operation) => Promise<void>): Promise<void>
}

/** At most this, as a ratio. */
interface Goal {
  readonly wall?: number
  readonly cpu?: number
}

/** For the time per part, where there are many times as many: what grows faster exceeds that by far. */
export const LINEAR: Goal = { wall: 1.5 }

/** A ratio of two variants. */
export interface Comparison {
  readonly of: string
  readonly to: string
  /** The ratio that the count of round trips sets, by design. */
  readonly limit?: string
  readonly goals?: { readonly [L in LinkName]?: Goal }
  /** Whether it is missed where the interval lies above 1. */
  readonly isRegressionCheck?: boolean
}

/** Something that is measured, in several ways. */
export interface Scenario {
  /** For `--only`. */
  readonly name: string
  readonly title: string
  /** Where it is measured; on all links if nothing is said. */
  readonly links?: readonly LinkName[]
  readonly pools?: PoolSizes
  /** How many equal parts an operation has, where not one: results are per part. */
  readonly parts?: (variant: string) => number
  /** What an operation gives. */
  readonly gives?: unknown
  /** How many notes an operation adds. */
  readonly adds?: number | ((variant: string) => number)
  /** Gives the variants, or says why there are none. */
  variants(field: Field): readonly Variant[] | string
  readonly comparisons: readonly Comparison[]
}

/** A variant whose operation needs nothing around it. */
export function variant(name: string, operation: Operation): Variant {
  return { name, run: (measure) => measure(operation) }
}

/** A variant for each layer, stock and on the bridge. */
export function onEveryLayer(field: Field, operation: (layer: Layer) => Operation): Variant[] {
  const layers = LAYERS.flatMap((name) => [field.stock[name], field.shared[name]])
  return layers.map((layer) => variant(layer.name, operation(layer)))
}

type Target = Pick<Comparison, 'limit' | 'goals'>

/** Each layer on the bridge against itself without. */
export function bridgeToStock(target: Target = {}): Comparison[] {
  return LAYERS.map((name) => ({ of: bridged(name), to: name, ...target }))
}

/** The layers on the bridge against what is written by hand. */
export function bridgeToHandWritten(target: Target = {}): Comparison[] {
  const layers: readonly LayerName[] = LAYERS.filter((name) => name !== 'pg')
  return layers.map((name) => ({ of: bridged(name), to: 'pg', ...target }))
}
