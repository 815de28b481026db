import type { TransactionModes } from './control-command.ts'

/** `begin` with its options. The words come from closed sets, which are checked before. */
export function beginSql(modes: TransactionModes): string {
  const words = ['begin']
  if (modes.isolationLevel !== undefined) words.push(`isolation level ${modes.isolationLevel}`)
  if (modes.accessMode !== undefined) words.push(modes.accessMode)
  if (modes.deferrable !== undefined) words.push(modes.deferrable ? 'deferrable' : 'not deferrable')
  return words.join(' ')
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
