// Formats the output of the benchmark.

import { styleText } from 'node:util'
import type { Environment } from './environment.ts'
import type { ProbeResult, Reading } from './probe.ts'
import type { Link } from './proxy/link.ts'
import type { CellResult, ComparisonResult, Results, VariantResult, Verdict } from './results.ts'
import type { Estimate } from './statistics.ts'

const NAME = 62

export function printHead(env: Environment, links: readonly Link[], areApart: boolean): void {
  say(
    `Node ${env.node}, PostgreSQL ${env.postgres} (synchronous_commit ${env.synchronousCommit}), ` +
      `pg ${env.pg}, kysely ${env.kysely}, drizzle-orm ${env.drizzle} and ${env.drizzle1}, ` +
      `${env.cpus} CPUs, ${env.platform}`,
  )
  const added = links
    .filter(({ name }) => name !== 'loopback')
    .map((link) => `${link.name}: ${link.added.toFixed(2)} ms`)
  if (added.length > 0)
    say(`A round trip takes longer than on loopback by, as measured: ${added.join(', ')}`)
  say(
    areApart
      ? 'On loopback the server and the client have a core each.'
      : 'On loopback the server and the client may share a core: differences below a fifth say little.',
  )
  say(
    'Medians, with what they lie between with 95 % confidence. Round trips are counted on the wire.',
  )
}

export function printCell(cell: CellResult): void {
  title(`${cell.title} · ${cell.link}`)
  whisper(`${cell.rounds} rounds, ${cell.operations} of each in a round`)
  line('', ['wall', 'CPU', 'trips'])
  for (const variant of cell.variants) line(variant.name, cellsOfVariant(variant))
  if (cell.comparisons.length === 0) return
  line('', ['wall', 'CPU', 'trips', 'limit', 'goal'])
  for (const comparison of cell.comparisons) {
    line(`${comparison.of} ÷ ${comparison.to}`, cellsOfComparison(comparison))
  }
}

export function printProbe(probe: ProbeResult): void {
  title(probe.title)
  for (const reading of probe.readings) {
    const value = `${reading.value} ± ${reading.uncertainty} ${reading.unit}`
    say(`  ${reading.name.padEnd(NAME)}${value.padEnd(44)}${goalOf(reading)}`)
    for (const detail of reading.details ?? []) whisper(detail)
  }
}

export function printSkipped(name: string, reason: string): void {
  title(name)
  say(`  skipped: ${reason}`)
}

/** Lists all results that have a goal. */
export function printGoals({ cells, probes, skipped }: Results): void {
  title('goals')
  for (const cell of cells) {
    for (const comparison of cell.comparisons) {
      for (const verdict of comparison.verdicts) {
        const { of, to } = comparison
        const name = `${cell.scenario} · ${cell.link}: ${of} ÷ ${to}`
        say(
          `  ${name.padEnd(NAME + 30)}${ratio(comparison[verdict.measure]).padEnd(21)}` +
            `${comparison.trips.padEnd(10)}${limitOf(comparison).padEnd(14)}${judged(verdict)}`,
        )
      }
    }
  }
  for (const { probe, readings } of probes) {
    for (const reading of readings) {
      if (reading.goal === undefined) continue
      const value = `${reading.value} ± ${reading.uncertainty} ${reading.unit}`
      say(`  ${`${probe}: ${reading.name}`.padEnd(NAME + 30)}${value.padEnd(44)}${goalOf(reading)}`)
    }
  }
  for (const { scenario, reason } of skipped)
    say(`  ${scenario.padEnd(NAME + 30)}skipped: ${reason}`)
}

function cellsOfVariant({ wall, cpu, trips }: VariantResult): string[] {
  return [time(wall), time(cpu), number(trips)]
}

function cellsOfComparison(comparison: ComparisonResult): string[] {
  const { wall, cpu, trips, verdicts } = comparison
  return [ratio(wall), ratio(cpu), trips, limitOf(comparison), verdicts.map(judged).join(', ')]
}

/** The ratio of the round trips and, if measured, that of the times on raw sockets. */
function limitOf({ limit = '', protocolLimit }: ComparisonResult): string {
  return protocolLimit === undefined ? limit : `${limit} = ${protocolLimit.toFixed(2)}`
}

function judged({ measure, goal, met }: Verdict): string {
  const text = `${measure} ≤ ${goal.toFixed(2)} ${met ? 'met' : 'missed'}`
  return styleText(met ? 'green' : 'red', text)
}

function goalOf({ goal, met }: Reading): string {
  return goal === undefined
    ? ''
    : styleText(met ? 'green' : 'red', `${goal}: ${met ? 'met' : 'missed'}`)
}

function time({ median, low, high }: Estimate): string {
  return `${number(median)} [${number(low)}, ${number(high)}] ms`
}

function ratio({ median, low, high }: Estimate): string {
  return `${median.toFixed(3)} [${low.toFixed(2)}, ${high.toFixed(2)}]`
}

/** Formats a number with three digits. */
function number(value: number): string {
  return String(Number(value.toPrecision(3)))
}

function line(
  name: string,
  [wall = '', cpu = '', trips = '', limit = '', goal = '']: string[],
): void {
  const text = `  ${name.padEnd(NAME)}${wall.padEnd(30)}${cpu.padEnd(30)}${trips.padEnd(11)}${limit.padEnd(14)}${goal}`
  say(name === '' ? styleText('dim', text) : text)
}

function title(text: string): void {
  say()
  say(styleText('bold', text))
}

function whisper(text: string): void {
  say(styleText('dim', `  ${text}`))
}

function say(text = ''): void {
  process.stdout.write(`${text.trimEnd()}\n`)
}
