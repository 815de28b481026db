import { perClass } from './per-class.ts'
import type { PgConnection, QueryClass, QueryConfig } from './pg.ts'
import { reasonOf, MessageRecorder } from './message-recorder.ts'

/** The class of the queries that are sent in a transaction alone. */
export const singleQueryClass = perClass(extendToSingle)

function extendToSingle(Query: QueryClass): QueryClass {
  return class extends Query {
    declare failure: unknown
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

/** The class of the queries that go along with a flight. */
export const pipelinedQueryClass = perClass(extendToPart)

function extendToPart(Query: QueryClass): QueryClass {
  return class extends singleQueryClass(Query) {
    override submit(connection: PgConnection): Error | null | undefined | void {
      // what needs no preparation alone is answered as text
      if (!super.requiresPreparation()) this.binary = false
      return super.submit(connection)
    }

    override requiresPreparation(): boolean {
      return true
    }

    override handleError(error: unknown, connection: PgConnection): void {
      // the flight reports it, once
      if (!(connection instanceof MessageRecorder)) super.handleError(error, connection)
    }
  }
}
