import { isSharedConnectionError, Rollback, StatementSkippedError } from 'shared-connection'

/** The error that a program throws by itself. */
export class Boom extends Error {
  override readonly name = 'Boom'
}

/**
 * Names an error: by the SQLSTATE of an error of the server, or by the name of one of the bridge, with its
 * cause if that is promised. Drizzle's wrapper of errors of statements is removed.
 */
export function wordFor(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof Boom) return error.message
  if (error instanceof Rollback) return 'Rollback'
  const { cause, name } = error
  if (error.constructor.name === 'DrizzleQueryError') return wordFor(cause)
  // A skipped statement gets the same code as one that the server has refused.
  if (error instanceof StatementSkippedError) return error.code
  if (isSharedConnectionError(error)) {
    if (!CAUSED.has(name)) return name
    return cause === undefined ? name : `${name} by ${wordFor(cause)}`
  }
  return 'code' in error ? String(error.code) : `${name}: ${error.message}`
}

const CAUSED: ReadonlySet<string> = new Set(['TransactionAbortedError', 'RollbackOnlyError'])
