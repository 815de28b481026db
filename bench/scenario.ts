import type { Field, LayerName, PoolSizes } from './layers/field.ts'
import { bridged, LAYERS } from './layers/field.ts'
import type { Layer } from './layers/layer.ts'
import type { LinkName } from './proxy/link.ts'

type Operation = () => Promise<unknown>

/** One way to run the operation of a scenario. */
export interface Variant {
  readonly name: string
  /** Sets up what the operation needs, and calls `measure` with it. */
  run(measure: (operation: Operation) => Promise<void>): Promise<void>
}

/** The greatest ratio that meets the goal. */
interface Goal {
  readonly wall?: number
  readonly cpu?: number
}

/** The goal for the time per part with many more parts. Any superlinear growth exceeds it by far. */
export const LINEAR: Goal = { wall: 1.5 }

/** A ratio of two variants. */
export interface Comparison {
  readonly of: string
  readonly to: string
  /** The ratio of the round trips, which the design determines. */
  readonly limit?: string
  readonly goals?: { readonly [L in LinkName]?: Goal }
  /** True if the goal is missed as soon as the interval lies above 1. */
  readonly isRegressionCheck?: boolean
}

/** An operation that is measured in several variants. */
export interface Scenario {
  /** The name for `--only`. */
  readonly name: string
  readonly title: string
  /** The links on which it is measured. Default: all. */
  readonly links?: readonly LinkName[]
  readonly pools?: PoolSizes
  /** The number of equal parts of an operation. Results are per part. Default: 1. */
  readonly parts?: (variant: string) => number
  /** The result of an operation. */
  readonly result?: unknown
  /** The number of notes that an operation adds. */
  readonly adds?: number | ((variant: string) => number)
  /** Returns the variants, or the reason why there are none. */
  variants(field: Field): readonly Variant[] | string
  readonly comparisons: readonly Comparison[]
}

/** Makes a variant whose operation needs no set-up. */
export function variant(name: string, operation: Operation): Variant {
  return { name, run: (measure) => measure(operation) }
}

/** Makes a variant for each layer, stock and on the bridge. */
export function onEveryLayer(field: Field, operation: (layer: Layer) => Operation): Variant[] {
  const layers = LAYERS.flatMap((name) => [field.stock[name], field.shared[name]])
  return layers.map((layer) => variant(layer.name, operation(layer)))
}

type Target = Pick<Comparison, 'limit' | 'goals'>

/** Compares each layer on the bridge with its stock version. */
export function bridgeToStock(target: Target = {}): Comparison[] {
  return LAYERS.map((name) => ({ of: bridged(name), to: name, ...target }))
}

/** Compares the layers on the bridge with hand-written `pg`. */
export function bridgeToHandWritten(target: Target = {}): Comparison[] {
  const layers: readonly LayerName[] = LAYERS.filter((name) => name !== 'pg')
  return layers.map((name) => ({ of: bridged(name), to: 'pg', ...target }))
}
