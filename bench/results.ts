import type { Environment } from './environment.ts'
import type { ProbeResult } from './probe.ts'
import type { Link, LinkName } from './proxy/link.ts'
import type { Rounds } from './rounds.ts'
import type { Comparison, Scenario } from './scenario.ts'
import { type Estimate, estimate, ratios } from './statistics.ts'

export interface VariantResult {
  readonly name: string
  /** Round trips, counted on the wire. */
  readonly trips: number
  /** Milliseconds. */
  readonly wall: Estimate
  /** CPU time of this process in milliseconds. */
  readonly cpu: Estimate
}

export interface Verdict {
  readonly measure: 'wall' | 'cpu'
  readonly goal: number
  readonly met: boolean
}

export interface ComparisonResult {
  readonly of: string
  readonly to: string
  readonly wall: Estimate
  readonly cpu: Estimate
  /** Round trips of both variants, counted on the wire. */
  readonly trips: string
  readonly limit?: string
  /** The ratio of the same round trips on raw sockets over loopback. */
  readonly protocolLimit?: number
  readonly verdicts: readonly Verdict[]
}

/** The results of one scenario on one link. */
export interface CellResult {
  readonly scenario: string
  readonly title: string
  readonly link: LinkName
  readonly rounds: number
  /** The number of operations of each variant in a round. */
  readonly operations: number
  readonly variants: readonly VariantResult[]
  readonly comparisons: readonly ComparisonResult[]
}

export interface Results {
  readonly environment: Environment
  readonly links: readonly { readonly name: LinkName; readonly addedRoundTrip: number }[]
  readonly cells: readonly CellResult[]
  readonly probes: readonly ProbeResult[]
  readonly skipped: readonly { readonly scenario: string; readonly reason: string }[]
}

export function cellResult(
  scenario: Scenario,
  link: Link,
  { operations, costs }: Rounds,
  trips: ReadonlyMap<string, number>,
  protocolLimit?: number,
): CellResult {
  const walls = new Map<string, number[]>()
  const cpus = new Map<string, number[]>()
  const variants: VariantResult[] = []
  for (const [name, each] of costs) {
    const parts = scenario.parts?.(name) ?? 1
    const wall = each.map((cost) => cost.wall / parts)
    const cpu = each.map((cost) => cost.cpu / parts)
    walls.set(name, wall)
    cpus.set(name, cpu)
    const made = trips.get(name) ?? Number.NaN
    variants.push({ name, trips: made, wall: estimate(wall), cpu: estimate(cpu) })
  }
  const compare = (comparison: Comparison): ComparisonResult => {
    const { of, to, limit, goals } = comparison
    const wall = estimate(ratios(walls.get(of) ?? [], walls.get(to) ?? []))
    const cpu = estimate(ratios(cpus.get(of) ?? [], cpus.get(to) ?? []))
    const goal = goals?.[link.name] ?? {}
    const verdicts: Verdict[] = []
    if (goal.wall !== undefined) verdicts.push(judge('wall', goal.wall, wall))
    if (goal.cpu !== undefined) verdicts.push(judge('cpu', goal.cpu, cpu))
    if (comparison.isRegressionCheck) verdicts.push(notSlower('wall', wall), notSlower('cpu', cpu))
    const counted = `${count(trips.get(of))}/${count(trips.get(to))}`
    return {
      of,
      to,
      wall,
      cpu,
      trips: counted,
      ...(limit !== undefined && { limit }),
      ...(limit !== undefined && protocolLimit !== undefined && { protocolLimit }),
      verdicts,
    }
  }
  return {
    scenario: scenario.name,
    title: scenario.title,
    link: link.name,
    rounds: [...costs.values()][0]?.length ?? 0,
    operations,
    variants,
    comparisons: scenario.comparisons.map(compare),
  }
}

/** A ratio whose interval includes 1 does not prove a difference. */
function notSlower(measure: Verdict['measure'], { low }: Estimate): Verdict {
  return { measure, goal: 1, met: low <= 1 }
}

function judge(measure: Verdict['measure'], goal: number, { median }: Estimate): Verdict {
  return { measure, goal, met: median <= goal }
}

function count(trips = Number.NaN): string {
  return String(Math.round(trips * 100) / 100)
}
