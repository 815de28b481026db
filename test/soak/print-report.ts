import type { Soak } from './rounds.ts'

/** Errors that faults explain. Any other is a bug, here or in the bridge. */
const EXPLAINED = [
  // Errors that requests cause on purpose.
  /^thrown on purpose$/,
  /^error 23502$/,
  // Transactions that hold all clients, each of which waits for one more.
  /^PoolExhaustedError$/,
  // Sessions that were terminated, and statements that were cancelled.
  /^error (57P01|57014)$/,
  // Statements that were sent after, or together with, a statement that failed.
  /^error 25P02$/,
  /^StatementSkippedError$/,
  /^Error: Connection terminated/,
  /^Error: the network is gone$/,
  /^Error: Client has encountered a connection error/,
  /^Error: .*(not queryable|ECONNRESET|EPIPE)/,
  /^Error (ECONNRESET|EPIPE|ERR_STREAM_\w+)$/,
  /^Transaction(Aborted|Closed|OutcomeUnknown)Error$/,
]

/** Prints the report. Returns the exit code. */
export function printReport(soak: Soak, complaints: readonly string[]): 0 | 1 {
  const { ledger, faults, heap } = soak
  const { outcomes, rowsExpected, rowsFound } = ledger
  const unexplained = [...ledger.errors].filter(([name]) => !EXPLAINED.some((e) => e.test(name)))

  section('transactions', {
    committed: outcomes.committed,
    'rolled back': outcomes['rolled-back'],
    unknown: `${outcomes.unknown} (${ledger.unknownKept} had committed)`,
  })
  section('faults', faults.counts)
  section('rejected with', Object.fromEntries([...ledger.errors].toSorted((a, b) => b[1] - a[1])))
  section('rows', { expected: rowsExpected, found: rowsFound, 'wrong results': ledger.lies.length })
  section('leaked', { 'clients and sessions': soak.leaked })
  section('heap', {
    'at the end': megabytes(heap.size),
    'growth per million transactions': heap.growth
      ? `${megabytes(heap.growth.perTransaction * 1e6)} ± ${megabytes(heap.growth.uncertainty * 1e6)}`
      : 'too short to tell',
  })

  const failures = [
    ...complaints,
    ...ledger.lies,
    ...unexplained.map(
      ([name, count]) => `${count} rejected with ${name}, which no fault explains`,
    ),
    ...(rowsExpected === rowsFound ? [] : ['rows were lost']),
    ...(soak.leaked === 0 ? [] : ['clients have leaked']),
    ...(heap.grows ? ['the heap grows'] : []),
  ]
  for (const failure of failures) console.log(`\nfailed: ${failure}`)
  console.log(failures.length === 0 ? '\nnothing lost, nothing leaked' : '')
  return failures.length === 0 ? 0 : 1
}

function section(title: string, lines: Readonly<Record<string, number | string>>): void {
  console.log(`\n${title}`)
  for (const [name, value] of Object.entries(lines)) {
    console.log(`  ${name.padEnd(50)} ${value}`)
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`
}
