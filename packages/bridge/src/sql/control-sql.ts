import type { TransactionModes } from './control-command.ts'

/** `begin` with its options. The words come from closed sets, which are checked before. */
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

/** The names that the bridge makes need no quotes; any other gets them. */
function quoted(name: string): string {
  return /^sp\d+(_\d+)?$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
