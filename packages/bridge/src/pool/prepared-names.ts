import { deallocation } from '../sql/deallocation.ts'
import type { Layer } from '../transaction/frame.ts'
import { isServerError, type PgClient, type QueryResult } from './pg.ts'
import type { Statement } from './statement.ts'

/**
 * The names of the prepared statements on one connection. Each layer has names of its own, as if it
 * were alone; and `pg`, which goes on believing in what the server has given up, is told.
 */
export class PreparedNames {
  readonly #client: PgClient
  /** Which layer has taken a name. */
  readonly #owners = new Map<string, Layer>()
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
    if (owner !== layer) statement.rename(`${layer}:${name}`)
  }

  /** Whether the server has to forget the name before it can be used again. */
  isStale(name: string | undefined): boolean {
    return name !== undefined && this.#stale.has(name)
  }

  /** Whether a statement has failed only because of what the server has for its name. */
  hasFailed(name: string | undefined, error: unknown): boolean {
    if (name === undefined || !isServerError(error)) return false
    // DISCARD ALL behind the bridge, or a pooler that has changed the session
    const isGone = error.code === '26000'
    // `cached plan must not change result type`: a table has changed since
    const isStale = error.code === '0A000' && error.routine === 'RevalidateCachedQuery'
    if (isGone) this.#forget(name)
    if (isStale) this.#stale.add(name)
    return isGone || isStale
  }

  /** Forgets what a statement has made the server forget. */
  hasAnswered({ text }: Statement, { command }: QueryResult): void {
    if (command !== 'DISCARD' && command !== 'DEALLOCATE') return
    const forgotten = deallocation(text)
    if (forgotten === undefined) return
    const { parsedStatements } = this.#client.connection
    const names = forgotten === 'all' ? Object.keys(parsedStatements) : [forgotten.name]
    for (const name of names) this.#forget(name)
  }

  #forget(name: string): void {
    delete this.#client.connection.parsedStatements[name]
    this.#stale.delete(name)
  }
}
