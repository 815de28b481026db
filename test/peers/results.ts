import { readFile } from 'node:fs/promises'

export type Outcome = 'passed' | 'failed' | 'skipped'

export interface TestResult {
  readonly title: string
  readonly outcome: Outcome
  /** Of one that failed: what it said. */
  readonly reason: string
}

interface MochaTest {
  readonly fullTitle: string
  readonly err: { readonly message?: string }
}

interface MochaReport {
  readonly tests: readonly MochaTest[]
  readonly pending: readonly MochaTest[]
  readonly failures: readonly MochaTest[]
}

interface VitestReport {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

/** One run of a suite. */
export interface Run {
  readonly results: readonly TestResult[]
  /** How many pools and clients were shared. */
  readonly shared: number
}

/** Reads what the JSON reporter of Mocha or Vitest has written. */
export async function readReport(file: string): Promise<readonly TestResult[]> {
  const report: MochaReport | VitestReport = JSON.parse(await readFile(file, 'utf8'))
  return 'testResults' in report ? ofVitest(report) : ofMocha(report)
}

function ofVitest({ testResults }: VitestReport): TestResult[] {
  return testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ fullName, status, failureMessages }) => ({
      title: fullName,
      outcome: status === 'passed' || status === 'failed' ? status : 'skipped',
      reason: firstLine(failureMessages?.[0]),
    })),
  )
}

function ofMocha({ tests, pending, failures }: MochaReport): TestResult[] {
  const skipped = new Set(pending.map(({ fullTitle }) => fullTitle))
  const failed = new Set(failures.map(({ fullTitle }) => fullTitle))
  for (const { fullTitle } of tests) failed.delete(fullTitle)
  // A hook that fails is among the failures, but not among the tests.
  const hooks = failures.filter(({ fullTitle }) => failed.has(fullTitle))
  return [...tests, ...hooks].map(({ fullTitle, err }) => ({
    title: fullTitle,
    outcome: err.message !== undefined ? 'failed' : skipped.has(fullTitle) ? 'skipped' : 'passed',
    reason: firstLine(err.message),
  }))
}

function firstLine(text = ''): string {
  return text.split('\n', 1)[0] ?? ''
}
