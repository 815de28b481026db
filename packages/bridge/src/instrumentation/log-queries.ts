import { inspect } from 'node:util'
import { type QueryEvent, queryChannel } from './channels.ts'

/** The options of {@link logQueries}. */
export interface LogOptions {
  /** Takes each line, without a line feed at its end. Default: standard output. */
  readonly write?: (line: string, event: QueryEvent) => void
  /** Appends the values of the parameters. They may be secrets. Default `false`. */
  readonly parameters?: boolean
}

/**
 * Prints a line for each statement of every layer, when it has been answered. Gives back what ends it.
 *
 * ```ts
 * const stop = logQueries()
 * // drizzle   0.41ms rows=1 tx=7/1      insert into "accounts" …
 * // kysely    0.38ms        tx=7/1      TRANSACTION commit
 * ```
 *
 * Durations are in milliseconds, and count from leaving to the answer. `tx=7/2(sp1)` is
 * transaction 7 at depth 2, in savepoint sp1. `+` in front of a duration: it rode in front of
 * another statement, and has had no round trip of its own.
 */
export function logQueries(options: LogOptions = {}): () => void {
  const write = options.write ?? ((line: string) => process.stdout.write(`${line}\n`))
  const onAnswer = (event: QueryEvent): void => {
    try {
      write(lineOf(event, options.parameters ?? false), event)
    } catch (error) {
      // a broken log must not break a query, nor be silent
      process.emitWarning(error instanceof Error ? error : String(error))
    }
  }
  const subscriber = { asyncEnd: (event: object) => onAnswer(event as QueryEvent) }
  queryChannel.subscribe(subscriber as never)
  return () => {
    queryChannel.unsubscribe(subscriber as never)
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

/** PostgreSQL quotes values in its messages, so those are parameters too. */
function failureOf({ error, sqlstate }: QueryEvent, parameters: boolean): string {
  if (!(error instanceof Error)) return sqlstate ?? 'failed'
  return parameters ? `${sqlstate ?? error.name} ${error.message}` : (sqlstate ?? error.name)
}
