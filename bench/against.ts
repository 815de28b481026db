import type { Field } from './layers/field.ts'
import type { Comparison, Scenario, Variant } from './scenario.ts'

/** Measures the bridge variants of a scenario twice: with this bridge, and with that of another checkout. */
export function against(scenario: Scenario): Scenario {
  return {
    ...scenario,
    variants(field: Field) {
      const here = scenario.variants(field)
      const before = field.before && scenario.variants(field.before)
      if (typeof here === 'string' || before === undefined || typeof before === 'string') {
        return here
      }
      return [...here, ...before.filter(isOnBridge).map(asBefore)]
    },
    comparisons: [...scenario.comparisons, ...againstBefore(scenario.comparisons)],
  }
}

function asBefore(variant: Variant): Variant {
  return { name: nameBefore(variant.name), run: (measure) => variant.run(measure) }
}

function againstBefore(comparisons: readonly Comparison[]): Comparison[] {
  const names = new Set(comparisons.flatMap(({ of, to }) => [of, to]))
  return [...names]
    .filter((name) => isOnBridge({ name }))
    .map((name) => ({ of: name, to: nameBefore(name), isRegressionCheck: true }))
}

/** Only the bridge has hooks. */
function isOnBridge({ name }: Pick<Variant, 'name'>): boolean {
  return /bridge|hooks/.test(name)
}

function nameBefore(name: string): string {
  return `${name}, before`
}
