import { baseQueryClass } from './base-query.ts'
import { MessageRecorder } from './message-recorder.ts'
import { perClass } from './per-class.ts'
import type { PgConnection, PgQuery, QueryClass } from './pg.ts'

type PipelinedQueryClass = new (config: unknown, values?: unknown) => PgQuery

/** The class of the queries that are written behind a pipeline query, before the same Sync. */
export const pipelinedQueryClass = perClass(extend)

function extend(Query: QueryClass): PipelinedQueryClass {
  return class extends baseQueryClass(Query) {
    override submit(connection: PgConnection): Error | null | undefined | void {
      // Without a preparation of its own its answer would come as text.
      if (!super.requiresPreparation()) this.binary = false
      return super.submit(connection)
    }

    override requiresPreparation(): boolean {
      return true
    }

    override handleError(error: unknown, connection: PgConnection): void {
      // pg's query reports a value that it cannot serialise, and the pipeline query does so again.
      if (!(connection instanceof MessageRecorder)) super.handleError(error, connection)
    }
  }
}
