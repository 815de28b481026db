import type { Random } from './random.ts'

export type Layer = 'drizzle' | 'kysely' | 'shared'
const layers = ['drizzle', 'kysely', 'shared'] as const

/** What is done in a transaction. A write is known by its `part`, a number of its own. */
export type Step =
  | { readonly kind: 'write'; readonly layer: Layer; readonly part: number }
  /** Reads what was written so far, page by page, and breaks off after `rows`. */
  | { readonly kind: 'stream'; readonly rows: number; readonly asking: Layer }
  /** A statement that takes its time, for the faults to hit it. */
  | { readonly kind: 'nap' }
  /** A statement that fails, and whose error nobody minds: the frame it is in cannot be kept. */
  | { readonly kind: 'swallowed-failure'; readonly layer: Layer }
  /** A nested block. That it fails, on purpose or not, does not fail the one around. */
  | {
      readonly kind: 'block'
      readonly layer: Layer
      readonly steps: readonly Step[]
      readonly throws: boolean
      /** Nobody awaits it: the one around does not end before it. */
      readonly loose: boolean
    }
  /** Another transaction, on a connection of its own, which ends as it will. */
  | { readonly kind: 'apart'; readonly plan: Plan }
  /** Steps side by side. `all` goes on as soon as one has failed, and leaves the others running. */
  | { readonly kind: 'together'; readonly steps: readonly Step[]; readonly all: boolean }

export interface Plan {
  readonly id: number
  /** The layer that opens it, or one of: */
  readonly opener:
    | Layer
    /** Kysely, in the way that has no callback. */
    | 'controlled'
    /** `shared.transaction()` with `requires-new`. */
    | 'apart'
    /** Nobody: it is one statement on its own. */
    | 'none'
  readonly steps: readonly Step[]
  /** Rolled back on purpose. */
  readonly throws: boolean
  /** COMMIT takes its time. */
  readonly slow: boolean
}

/** Thinks out what one request does. `nextId` numbers transactions. */
export function makePlan(nextId: () => number, random: Random): Plan {
  let parts = 0
  const write = (): Step => ({ kind: 'write', layer: random.pick(layers), part: parts++ })

  const step = (depth: number): Step => {
    const dice = random.next()
    if (dice < 0.3 && depth < 3) return block(depth + 1)
    if (dice < 0.4 && depth < 3) {
      const steps = some(2, 3, () => (random.chance(0.7) ? block(depth + 1) : write()))
      return { kind: 'together', steps, all: random.chance(0.5) }
    }
    if (dice < 0.44) {
      return { kind: 'stream', rows: random.between(1, 4), asking: random.pick(layers) }
    }
    if (dice < 0.48) return { kind: 'nap' }
    if (dice < 0.49) return { kind: 'apart', plan: transaction('apart', some(1, 2, write)) }
    if (dice < 0.5) return { kind: 'swallowed-failure', layer: random.pick(layers) }
    return write()
  }
  const block = (depth: number): Step => ({
    kind: 'block',
    layer: random.pick(layers),
    steps: some(0, 3, () => step(depth)),
    throws: random.chance(0.2),
    loose: random.chance(0.1),
  })
  const transaction = (opener: Plan['opener'], steps: readonly Step[]): Plan => ({
    id: nextId(),
    opener,
    steps,
    throws: random.chance(0.1),
    slow: random.chance(0.1),
  })
  const some = <T>(low: number, high: number, make: () => T): T[] =>
    Array.from({ length: random.between(low, high) }, make)

  const opener = random.pick([...layers, ...layers, ...layers, 'controlled', 'none'] as const)
  return transaction(opener, opener === 'none' ? [write()] : some(1, 4, () => step(0)))
}
