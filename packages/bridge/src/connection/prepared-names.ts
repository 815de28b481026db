import { deallocations } from '../sql/deallocation.ts'
import type { Layer } from '../transaction/frame.ts'
import { isServerError, type PgClient, type QueryResult } from '../protocol/pg.ts'
import type { Statement } from '../wire/statement.ts'

let given = 0

/**
 * The names of the prepared statements on one connection. Each layer has names of its own, as if it
 * were alone; and `pg`, which goes on believing in what the server has given up, is told.
 */
export class PreparedNames {
  readonly #client: PgClient
  /** Which layer has taken a name. */
  readonly #owners = new Map<string, Layer>()
  /** The names that were given instead, by layer and name. */
  readonly #others = new Map<string, string>()
  /** Those that the server still holds, but refuses to run. */
  readonly #stale = new Set<string>()

  constructor(client: PgClient) {
    this.#client = client
  }

  /** Gives a statement another name where another layer has taken its own. */
  own(statement: Statement): void {
    const { name, layer } = statement
    if (name === undefined) return
    const owner = this.#owners.get(name) ?? layer
    this.#owners.set(name, owner)
    if (owner === layer) return
    // short: PostgreSQL cuts names after 63 bytes
    const key = `${layer} ${name}`
    const other = this.#others.get(key) ?? `sc_${++given}`
    this.#others.set(key, other)
    statement.rename(other)
  }

  /** Whether the server has to forget the name before it can be used again. */
  isStale(name: string | undefined): boolean {
    return name !== undefined && this.#stale.has(name)
  }

  /** Whether a statement has failed only because of what the server has for its name. */
  hasFailed(name: string | undefined, error: unknown): boolean {
    // an error from inside the statement has a context: that has run
    if (name === undefined || !isServerError(error) || error.where !== undefined) return false
    // DISCARD ALL behind the bridge, or a pooler that has changed the session
    const isGone = error.code === '26000'
    // `cached plan must not change result type`: a table has changed since
    const isOld = error.code === '0A000' && error.routine === 'RevalidateCachedQuery'
    // the server has the name, though `pg` does not know
    const isStale = isOld || error.code === '42P05'
    if (isGone) this.forget(name)
    if (isStale) this.#stale.add(name)
    return isGone || isStale
  }

  /** Forgets what a statement has made the server forget. */
  hasAnswered({ text }: Statement, result: QueryResult | readonly QueryResult[]): void {
    // several commands in one text have several answers
    const isMeant = 'command' in result ? forgets(result) : result.some(forgets)
    if (!isMeant) return
    for (const forgotten of deallocations(text)) {
      const { parsedStatements } = this.#client.connection
      const names = forgotten === 'all' ? Object.keys(parsedStatements) : [forgotten.name]
      for (const name of names) this.forget(name)
    }
  }

  /** Lets `pg` prepare the name anew. */
  forget(name: string): void {
    delete this.#client.connection.parsedStatements[name]
    this.#stale.delete(name)
  }
}

function forgets({ command }: QueryResult): boolean {
  return command === 'DISCARD' || command === 'DEALLOCATE'
}
