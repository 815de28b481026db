import type { Outcome, Run, TestResult } from './results.ts'

/** Prints the counts of both runs beside each other, and below them what failed or differs. */
export function printComparison(stock: Run, bridged: Run): void {
  console.log(`stock    ${counts(stock.results)}`)
  console.log(`bridged  ${counts(bridged.results)}; ${bridged.shared} pools or clients shared`)
  const failed = stock.results.filter(({ outcome }) => outcome === 'failed')
  for (const result of failed) console.log(`\nfails without the bridge: ${described(result)}`)
  for (const line of differences(stock.results, bridged.results)) console.log(`\ndiffers: ${line}`)
  process.exitCode = bridged.shared === 0 ? 1 : 0
}

function counts(results: readonly TestResult[]): string {
  const count = (wanted: Outcome) => results.filter(({ outcome }) => outcome === wanted).length
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`
}

function differences(stock: readonly TestResult[], bridged: readonly TestResult[]): string[] {
  const expected = new Map(stock.map(({ title, outcome }) => [title, outcome]))
  const differing = bridged.filter(({ title, outcome }) => outcome !== expected.get(title))
  for (const { title } of bridged) expected.delete(title)
  return [
    ...differing.map(described),
    ...[...expected.keys()].map((title) => `${title} did not run`),
  ]
}

function described({ title, outcome, reason }: TestResult): string {
  return `${title} ${outcome}\n  ${reason}`
}
