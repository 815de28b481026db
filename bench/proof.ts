import { deepStrictEqual, strictEqual } from 'node:assert'
import type { Client } from 'pg'
import { countNotes } from './layers/schema.ts'
import type { DelayProxy } from './proxy/delay-proxy.ts'
import type { Scenario, Variant } from './scenario.ts'

/**
 * Runs each variant once while round trips are counted. Asserts that its results are right, and returns
 * the number of round trips of each.
 */
export async function prove(
  scenario: Scenario,
  variants: readonly Variant[],
  proxy: DelayProxy,
  observer: Client,
): Promise<ReadonlyMap<string, number>> {
  const trips = new Map<string, number>()
  for (const variant of variants) {
    // The first run sends what a client sends only once.
    await variant.run(async (operation) => void (await operation()))
    const before = await countNotes(observer)
    let made = 0
    await variant.run(async (operation) => {
      const tripsBefore = await proxy.trips()
      const given = await operation()
      made = (await proxy.trips()) - tripsBefore
      if (scenario.result !== undefined) deepStrictEqual(given, scenario.result, name(variant))
    })
    const added = (await countNotes(observer)) - before
    strictEqual(added, addedBy(scenario, variant), `${name(variant)} has added ${added} notes`)
    trips.set(variant.name, made / (scenario.parts?.(variant.name) ?? 1))
  }
  return trips

  function name(variant: Variant): string {
    return `${scenario.name}, ${variant.name}`
  }
}

function addedBy({ adds = 0 }: Scenario, { name }: Variant): number {
  return typeof adds === 'number' ? adds : adds(name)
}
