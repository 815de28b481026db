import { type PipelineQuery, pipelineQueryClass } from '../protocol/pipeline-query.ts'
import type { QueryClass } from '../protocol/pg.ts'
import type { Frame } from '../transaction/frame.ts'
import type { BeginCheck } from './begin-check.ts'
import type { DeferredCommand, OnDeferredSent } from './deferred-command.ts'

/** The deferred commands that a copy of a query has to wait for. */
interface Opening {
  readonly deferred: readonly DeferredCommand[]
  /** The transaction that they begin. */
  readonly begun: Frame | false | undefined
  readonly beginCheck: BeginCheck
  readonly observer: { readonly onDeferredSent: OnDeferredSent }
}

/**
 * Gives a query that sends deferred commands alone. `done` lets the copy in, unless there is an error:
 * right behind a BEGIN that fails, the copy would run outside the transaction.
 */
export function commandsAlone(
  Query: QueryClass,
  { deferred, begun, beginCheck, observer }: Opening,
  done: (error: unknown) => void,
): PipelineQuery {
  const query = new (pipelineQueryClass(Query))(deferred.at(-1)?.sql)
  query.deferred = deferred.slice(0, -1)
  let onAnswer: ReturnType<OnDeferredSent> | undefined
  query.onWrite = () => {
    const foreign = begun ? beginCheck.start(query) : undefined
    if (foreign === undefined) onAnswer = observer.onDeferredSent(deferred)
    return foreign
  }
  query.callback = (reason) => {
    const error = reason ?? undefined
    onAnswer?.(query.completed, error)
    done(begun ? beginCheck.finish(begun, query, error) : error)
  }
  return query
}
