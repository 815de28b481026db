import { inspect } from 'node:util'
import { InvalidArgumentError } from '../errors.ts'
import { inWords } from '../wording.ts'
import { type QueryEvent, queryChannel } from './channels.ts'
import { WireOrder } from './wire-order.ts'

/** The options of {@link logQueries}. */
export interface LogOptions {
  /** Called with each line, without a line feed, and its event. Default: writes to standard output. */
  readonly write?: (line: string, event: QueryEvent) => void
  /** Whether to print parameters and error messages. They may contain secrets. Default `false`. */
  readonly parameters?: boolean
}

/**
 * Prints a line for each statement of every layer, when it is answered, and on each connection in the order
 * of sending. Returns a function that stops the
 * log. An error of `write` becomes a warning of the process.
 *
 * ```ts
 * const stop = logQueries()
 * // drizzle   0.41ms rows=1 tx=7/1      insert into "accounts" …
 * // kysely    0.38ms        tx=7/1      TRANSACTION commit
 * ```
 *
 * Durations are milliseconds from sending to the answer. `tx=7/2(sp1)` means transaction 7 at depth 2, in
 * savepoint sp1. A `+` before the duration marks a piggybacked command: it was sent together with the
 * next statement and had no round trip of its own.
 */
export function logQueries(options: LogOptions = {}): () => void {
  assertOptions(options)
  const write = options.write ?? ((line: string) => process.stdout.write(`${line}\n`))
  const onAnswer = (event: QueryEvent): void => {
    try {
      write(lineOf(event, options.parameters ?? false), event)
    } catch (error) {
      // A broken log must neither break a query nor stay unnoticed.
      process.emitWarning(error instanceof Error ? error : String(error))
    }
  }
  const order = new WireOrder(onAnswer)
  const subscriber = {
    start: (event: object) => order.start(event as QueryEvent),
    asyncEnd: (event: object) => order.end(event as QueryEvent),
  }
  queryChannel.subscribe(subscriber as never)
  return () => {
    queryChannel.unsubscribe(subscriber as never)
  }
}

function assertOptions(options: unknown): void {
  if (options === null || typeof options !== 'object') {
    throw new InvalidArgumentError(
      `the options of logQueries() were ${inWords(options)}; give an object, or leave them out`,
    )
  }
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    const wanted = { write: 'a function', parameters: 'true or false' }[key]
    if (wanted === undefined) {
      throw new InvalidArgumentError(
        `logQueries() has no option ${inWords(key)}; its options are write and parameters`,
      )
    }
    if (typeof value === (key === 'write' ? 'function' : 'boolean')) continue
    throw new InvalidArgumentError(
      `the option ${key} of logQueries() was ${inWords(value)}; give ${wanted}`,
    )
  }
}

function lineOf(event: QueryEvent, parameters: boolean): string {
  const columns = [
    event.layer.padEnd(8),
    `${event.piggybacked ? '+' : ''}${event.duration.toFixed(2)}ms`.padStart(9),
    rowsOf(event).padEnd(8),
    transactionOf(event).padEnd(14),
    `${event.control === undefined ? '' : 'TRANSACTION '}${oneLine(event.sql)}`,
  ]
  if (event.database !== undefined) columns.unshift(event.database)
  if (parameters && event.parameters.length > 0) columns.push(`-- ${valuesOf(event.parameters)}`)
  if (event.error !== undefined) columns.push(`✗ ${failureOf(event, parameters)}`)
  return columns.join(' ').trimEnd()
}

function rowsOf({ control, rowCount }: QueryEvent): string {
  return control !== undefined || rowCount === undefined || rowCount === null
    ? ''
    : `rows=${rowCount}`
}

function transactionOf({ transaction, depth, savepoint }: QueryEvent): string {
  if (transaction === undefined) return ''
  return `tx=${transaction}/${depth}${savepoint === undefined ? '' : `(${savepoint})`}`
}

function oneLine(sql: string): string {
  return sql.trim().replaceAll(/\s+/g, ' ')
}

function valuesOf(parameters: readonly unknown[]): string {
  return parameters.map(valueOf).join(', ')
}

function valueOf(value: unknown): string {
  if (value instanceof Uint8Array) return `<${value.byteLength} bytes>`
  if (typeof value === 'string') return JSON.stringify(value)
  return inspect(value, { breakLength: Infinity, compact: true })
}

/** Messages of PostgreSQL quote values, so they are printed only if parameters are. */
function failureOf({ error, sqlstate }: QueryEvent, parameters: boolean): string {
  if (!(error instanceof Error)) return sqlstate ?? 'failed'
  return parameters ? `${sqlstate ?? error.name} ${error.message}` : (sqlstate ?? error.name)
}
