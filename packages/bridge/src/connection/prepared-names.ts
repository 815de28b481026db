import { deallocateSql } from '../sql/control-sql.ts'
import { deallocations } from '../sql/deallocation.ts'
import type { Carriage, QueryTrace } from '../instrumentation/traces.ts'
import type { Layer } from '../transaction/frame.ts'
import type { Dispatcher } from '../wire/dispatcher.ts'
import { isServerError, type PgClient, type QueryResult } from '../protocol/pg.ts'
import { Statement } from '../wire/statement.ts'

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

/** The session that a named statement is sent on, as far as that is needed here. */
interface NamedSession extends Carriage {
  readonly names: PreparedNames
  readonly dispatcher: Pick<Dispatcher, 'exchange'>
  trace(statement: Statement, frame: undefined): QueryTrace | undefined
}

/**
 * Sends a named statement outside any transaction. Where it has failed only because of what the
 * server has for its name, nothing of it has run: the name is forgotten, and it is sent once more.
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
      // what was told of its error itself is not sent again behind that
      if (!session.names.hasFailed(name, error) || statement.isDelivered) throw error
      await forget()
      return attempt(statement)
    }
  })
}

/** What makes the server forget a name. */
export function forgetting(name: string | undefined): Statement {
  return new Statement('shared', deallocateSql(name ?? ''))
}
