import type { QueryEvent } from 'shared-connection'

/**
 * Follows the statements of each connection as PostgreSQL does. Returns those that are impossible: a second
 * BEGIN, an end without a transaction, an unknown savepoint.
 */
export function imbalancesOf(events: readonly QueryEvent[]): string[] {
  const connections = Map.groupBy(events, ({ connection }) => connection)
  return [...connections.values()].flatMap(imbalancesOn)
}

function imbalancesOn(events: readonly QueryEvent[]): string[] {
  const wrong: string[] = []
  /** The transaction and the open savepoints in it. */
  let open: string[] | undefined
  const expect = (isSo: boolean, sql: string): void => {
    if (!isSo) wrong.push(`${sql} came where [${open?.join() ?? 'no transaction'}] was open`)
  }
  for (const { command, control, error, sql, sqlstate, transaction } of events) {
    // A statement of a transaction must run in one.
    if (control === undefined) expect((transaction === undefined) === (open === undefined), sql)
    // A statement that came too late for an aborted transaction has had no effect.
    if (control === undefined || sqlstate === '25P02') continue
    if (error !== undefined) {
      wrong.push(`${sql} failed: ${sqlstate ?? 'without an answer'}`)
      continue
    }
    const at = open?.lastIndexOf(/\S+$/.exec(sql)?.[0] ?? '') ?? -1
    switch (control) {
      case 'begin':
        expect(open === undefined, sql)
        open = []
        break
      case 'savepoint':
        expect(open !== undefined, sql)
        open?.push(/\S+$/.exec(sql)?.[0] ?? '')
        break
      case 'release':
        expect(at !== -1, sql)
        open = open?.slice(0, at)
        break
      case 'rollback-to':
        expect(at !== -1, sql)
        open = open?.slice(0, at + 1)
        break
      case 'commit':
      case 'rollback':
        expect(open !== undefined, `${sql} (${command})`)
        open = undefined
        break
    }
  }
  if (open !== undefined) wrong.push(`a transaction was left open: [${open.join()}]`)
  return wrong
}
