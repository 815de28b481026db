import { isSharedConnectionError } from 'shared-connection'
import type { Application } from './application.ts'
import { Refusal, type Report } from './request.ts'

/** Compares the results that requests got with the rows in the database. */
export class Ledger {
  readonly outcomes = { committed: 0, 'rolled-back': 0, unknown: 0 }
  /** The kinds of errors that requests were rejected with. */
  readonly errors = new Map<string, number>()
  /** The number of transactions that were reported as committed. */
  rowsExpected = 0
  rowsFound = 0
  /** The number of transactions with an unknown outcome that have committed. */
  unknownKept = 0
  /** Descriptions of wrong results. */
  readonly lies: string[] = []

  get transactions(): number {
    return this.outcomes.committed + this.outcomes['rolled-back'] + this.outcomes.unknown
  }

  /** Checks a round. Afterwards only its numbers are retained. */
  async close({ observer }: Application, reports: readonly Report[]): Promise<void> {
    const { rows } = await observer.query<{ id: number; parts: number[] }>(
      'select id, array_agg(part order by part) as parts from work group by id',
    )
    const found = new Map(rows.map(({ id, parts }) => [id, parts]))
    for (const report of reports) {
      this.#check(report, found.get(report.plan.id) ?? [])
      found.delete(report.plan.id)
    }
    for (const [id, parts] of found) this.#lie(id, `no transaction wrote ${parts.join()}`)
    await observer.query('truncate work')
  }

  #check(report: Report, found: readonly number[]): void {
    const { plan, outcome, kept, error } = report
    this.outcomes[outcome]++
    if (error !== undefined) this.#count(error)
    const expected = kept.toSorted((a, b) => a - b).join()
    const there = found.join()
    if (outcome === 'committed') {
      this.rowsExpected += kept.length
      this.rowsFound += found.length
    }
    const isTrue = {
      committed: there === expected,
      'rolled-back': there === '',
      unknown: there === '' || there === expected,
    }[outcome]
    if (!isTrue) {
      this.#lie(plan.id, `is ${outcome} with parts ${expected}, found ${there}`, report)
    }
    if (outcome === 'unknown' && there !== '') this.unknownKept++
    this.#checkHooks(report, expected)
  }

  #checkHooks(report: Report, expected: string): void {
    const { plan, outcome, told, rolledBack, completions, begun } = report
    if (!begun) return
    const afterCommit = told.toSorted((a, b) => a - b).join()
    const isTrue =
      afterCommit === (outcome === 'committed' ? expected : '') &&
      rolledBack === (outcome === 'rolled-back' ? 1 : 0) &&
      completions.join() === outcome
    if (isTrue) return
    const heard = `committed ${afterCommit}, rolled back ${rolledBack}, ${completions.join()}`
    this.#lie(
      plan.id,
      `is ${outcome} with parts ${expected}, but its hooks heard: ${heard}`,
      report,
    )
  }

  #count(error: unknown): void {
    const name = nameOf(error)
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1)
  }

  #lie(id: number, what: string, report?: Report): void {
    // The first few are enough.
    if (this.lies.length >= 20) return
    const why = report?.error instanceof Error ? `\n  ${nameOf(report.error)}` : ''
    const plan = report ? `\n  ${JSON.stringify(report.plan)}` : ''
    this.lies.push(`transaction ${id} ${what}${why}${plan}`)
  }
}

/** Returns the kind of an error. */
function nameOf(error: unknown): string {
  if (error instanceof Refusal) return 'thrown on purpose'
  if (!(error instanceof Error)) return String(error)
  // Drizzle wraps the errors of statements.
  if (error.constructor.name === 'DrizzleQueryError') return nameOf(error.cause)
  if (isSharedConnectionError(error)) return error.name
  const { code } = error as { code?: string }
  return code === undefined ? `${error.name}: ${error.message}` : `${error.name} ${code}`
}
