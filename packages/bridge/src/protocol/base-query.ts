import { reasonOf } from './message-recorder.ts'
import { perClass } from './per-class.ts'
import type { PgConnection, PgQuery, QueryClass, QueryConfig } from './pg.ts'

type BaseQueryClass = new (config: unknown, values?: unknown) => PgQuery

/**
 * The base class of the bridge's queries, made for each copy of `pg`. A statement that is sent alone
 * is a query of this class. It extends the client's own `pg.Query`, since a client in pipeline mode
 * refuses any other.
 */
export const baseQueryClass = perClass(extend)

function extend(Query: QueryClass): BaseQueryClass {
  return class extends Query {
    /** The error of the server, even where a type parser had thrown before. */
    declare failure: unknown
    /** The client reads it from the query that it is given. */
    declare query_timeout: number | undefined

    constructor(config: unknown, values?: unknown) {
      super(config, values)
      this.query_timeout = (config as QueryConfig | undefined)?.query_timeout
    }

    override handleError(error: unknown, connection: PgConnection): void {
      this.failure = reasonOf(error)
      super.handleError(this.failure, connection)
    }
  }
}
