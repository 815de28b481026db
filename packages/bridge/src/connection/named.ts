import { deallocateSql } from '../sql/control-sql.ts'
import type { Connection } from './session.ts'
import type { QueryResult } from '../protocol/pg.ts'
import { Statement } from '../wire/statement.ts'

/**
 * Sends a named statement outside any transaction. Where it has failed only because of what the
 * server has for its name, nothing of it has run: the name is forgotten, and it is sent once more.
 */
export function sendNamed(connection: Connection, statement: Statement): Promise<QueryResult> {
  const { name } = statement
  const first = connection.trace(statement, undefined)
  return connection.dispatcher.converse(statement, async (send) => {
    const attempt = async (
      sent: Statement,
      trace = connection.trace(sent, undefined),
    ): Promise<QueryResult> => {
      trace?.left(connection)
      return trace === undefined ? send(sent) : trace.follow(send(sent))
    }
    const forget = async (): Promise<void> => {
      if (!connection.names.isStale(name)) return
      const deallocate = forgetting(name)
      connection.names.hasAnswered(deallocate, await attempt(deallocate))
    }
    await forget()
    try {
      return await attempt(statement, first)
    } catch (error) {
      // what was told of its error itself is not sent again behind that
      if (!connection.names.hasFailed(name, error) || statement.isDelivered) throw error
      await forget()
      return attempt(statement)
    }
  })
}

/** What makes the server forget a name. */
export function forgetting(name: string | undefined): Statement {
  return new Statement('shared', deallocateSql(name ?? ''))
}
