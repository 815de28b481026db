import type { TransactionModes } from './control-command.ts'

/** Prints `begin` with its modes. `checkModes` has restricted them to closed sets of words. */
export function beginSql(modes: TransactionModes): string {
  const { isolationLevel, accessMode, deferrable } = modes
  let sql = 'begin'
  if (isolationLevel !== undefined) sql += ` isolation level ${isolationLevel}`
  if (accessMode !== undefined) sql += ` ${accessMode}`
  if (deferrable !== undefined) sql += deferrable ? ' deferrable' : ' not deferrable'
  return sql
}

export function savepointSql(name: string): string {
  return `savepoint ${quoted(name)}`
}

export function deallocateSql(name: string): string {
  return `deallocate ${quoted(name)}`
}

export function releaseSql(name: string): string {
  return `release savepoint ${quoted(name)}`
}

export function rollbackToSql(name: string): string {
  return `rollback to savepoint ${quoted(name)}`
}

/** Quotes a name, unless the bridge has generated it. */
function quoted(name: string): string {
  return /^sp\d+(_\d+)?$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
