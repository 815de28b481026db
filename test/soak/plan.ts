import type { Random } from './random.ts'

export type Layer = 'drizzle' | 'kysely' | 'shared'
const layers = ['drizzle', 'kysely', 'shared'] as const

/** A step in a transaction. `part` is the unique number of a write. */
export type Step =
  | { readonly kind: 'write'; readonly layer: Layer; readonly part: number }
  /** Streams the rows that were written so far, and stops after `rows` of them. */
  | { readonly kind: 'stream'; readonly rows: number; readonly asking: Layer }
  /** A slow statement, so that faults can hit it. */
  | { readonly kind: 'nap' }
  /** A statement whose error is swallowed, so that its frame cannot commit. */
  | { readonly kind: 'swallowed-failure'; readonly layer: Layer }
  /** A nested block. Its failure, on purpose or not, does not make the outer block fail. */
  | {
      readonly kind: 'block'
      readonly layer: Layer
      readonly steps: readonly Step[]
      readonly throws: boolean
      /** Not awaited: the outer block must not end before it. */
      readonly loose: boolean
    }
  /** An independent transaction on another connection. */
  | { readonly kind: 'apart'; readonly plan: Plan }
  /** Parallel steps. `all` goes on as soon as one has failed, while the others are running. */
  | { readonly kind: 'together'; readonly steps: readonly Step[]; readonly all: boolean }

export interface Plan {
  readonly id: number
  /** The layer that opens it, or one of: */
  readonly opener:
    | Layer
    /** A controlled transaction of Kysely. */
    | 'controlled'
    /** `shared.transaction()` with `requires-new`. */
    | 'apart'
    /** No transaction: a lone statement. */
    | 'none'
  readonly steps: readonly Step[]
  /** Rolled back on purpose. */
  readonly throws: boolean
  /** COMMIT is slow. */
  readonly slow: boolean
}

/** Makes up a random request. `nextId` numbers transactions. */
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
