import { counter } from '../core.ts'
import { deallocateSql } from '../sql/control-sql.ts'
import { deallocations } from '../sql/deallocation.ts'
import type { Carriage, QueryTrace } from '../instrumentation/traces.ts'
import type { Layer } from '../transaction/frame.ts'
import type { Dispatcher } from '../wire/dispatcher.ts'
import { isServerError, type PgClient, type QueryResult } from '../protocol/pg.ts'
import { Statement } from '../wire/statement.ts'

const given = counter('prepared names')

/**
 * The names of the prepared statements on one connection. Each layer has its own names, as if it were
 * alone on the connection. Names that the server has dropped are removed from the tables of `pg`, too.
 */
export class PreparedNames {
  readonly #client: PgClient
  /** The layer that uses a name. */
  readonly #owners = new Map<string, Layer>()
  /** The replacements for names that another layer uses, by layer and name. */
  readonly #others = new Map<string, string>()
  /** The names of statements that the server still has, but refuses to execute. */
  readonly #stale = new Set<string>()

  constructor(client: PgClient) {
    this.#client = client
  }

  /** Renames a statement if another layer uses its name. */
  own(statement: Statement): void {
    const { name, layer } = statement
    if (name === undefined) return
    const owner = this.#owners.get(name) ?? layer
    this.#owners.set(name, owner)
    if (owner === layer) return
    // Short, because PostgreSQL truncates names to 63 bytes.
    const key = `${layer} ${name}`
    const other = this.#others.get(key) ?? `sc_${++given.last}`
    this.#others.set(key, other)
    statement.rename(other)
  }

  /** Whether the name must be deallocated before it can be used again. */
  isStale(name: string | undefined): boolean {
    return name !== undefined && this.#stale.has(name)
  }

  /** Whether a statement failed only because its name means something else, or nothing, to the server. */
  hasFailed(name: string | undefined, error: unknown): boolean {
    // An error from inside the statement has a context, so the statement has run.
    if (name === undefined || !isServerError(error) || error.where !== undefined) return false
    // After DISCARD ALL behind the bridge, or because a pooler has changed the session.
    const isGone = error.code === '26000'
    // `cached plan must not change result type`: a table has changed since it was prepared.
    const isOld = error.code === '0A000' && error.routine === 'RevalidateCachedQuery'
    // The server has the name, though `pg` does not know it.
    const isStale = isOld || error.code === '42P05'
    if (isGone) this.forget(name)
    if (isStale) this.#stale.add(name)
    return isGone || isStale
  }

  /** Removes the names that a statement has deallocated on the server. */
  hasAnswered({ text }: Statement, result: QueryResult | readonly QueryResult[]): void {
    // A text with several commands has several answers.
    const isMeant = 'command' in result ? forgets(result) : result.some(forgets)
    if (!isMeant) return
    for (const forgotten of deallocations(text)) {
      const { parsedStatements } = this.#client.connection
      const names = forgotten === 'all' ? Object.keys(parsedStatements) : [forgotten.name]
      for (const name of names) this.forget(name)
    }
  }

  /** Makes `pg` prepare the name again. */
  forget(name: string): void {
    delete this.#client.connection.parsedStatements[name]
    this.#stale.delete(name)
  }
}

function forgets({ command }: QueryResult): boolean {
  return command === 'DISCARD' || command === 'DEALLOCATE'
}

/** The parts of a session that sending a named statement needs. */
interface NamedSession extends Carriage {
  readonly names: PreparedNames
  readonly dispatcher: Pick<Dispatcher, 'exchange'>
  trace(statement: Statement, frame: undefined): QueryTrace | undefined
}

/**
 * Sends a named statement outside any transaction. If it fails only because of its name, nothing has
 * run: the name is deallocated, and the statement is sent once more.
 */
export function sendNamed(session: NamedSession, statement: Statement): Promise<QueryResult> {
  const { name } = statement
  const first = session.trace(statement, undefined)
  return session.dispatcher.exchange(statement, async (send) => {
    const attempt = async (
      sent: Statement,
      trace = session.trace(sent, undefined),
    ): Promise<QueryResult> => {
      trace?.left(session)
      return trace === undefined ? send(sent) : trace.follow(send(sent))
    }
    const forget = async (): Promise<void> => {
      if (!session.names.isStale(name)) return
      const deallocate = forgetting(name)
      session.names.hasAnswered(deallocate, await attempt(deallocate))
    }
    await forget()
    try {
      return await attempt(statement, first)
    } catch (error) {
      // A query object that has received its error must not be sent again.
      if (!session.names.hasFailed(name, error) || statement.isDelivered) throw error
      await forget()
      return attempt(statement)
    }
  })
}

/** The statement that deallocates a name. */
export function forgetting(name: string | undefined): Statement {
  return new Statement('shared', deallocateSql(name ?? ''))
}
