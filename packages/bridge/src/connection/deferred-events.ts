import { queryChannel } from '../instrumentation/channels.ts'
import { type Carriage, QueryTrace } from '../instrumentation/traces.ts'
import { isServerError } from '../protocol/pg.ts'
import type { DeferredCommand } from '../wire/deferred-command.ts'

/** Called when deferred commands are answered, with the number of those that have succeeded. */
export type OnDeferredAnswered = (completed: number, error?: unknown) => void

/** The session that the commands are sent on, as far as their events need it. */
interface EventSource extends Carriage {
  readonly database: string | undefined
}

/** Publishes the events of deferred commands that leave now. `onFailed` gets the one that fails, if one does. */
export function watchDeferred(
  session: EventSource,
  deferred: readonly DeferredCommand[],
  onFailed: (command: DeferredCommand, error: unknown) => void,
): OnDeferredAnswered {
  if (deferred.length === 0) return ignore
  const traces = queryChannel.hasSubscribers
    ? deferred.map((command) => traceOf(session, command))
    : []
  return (completed, error) => {
    // The server skips all commands behind the one that failed. An error that is not the server's, such
    // as a timeout of the client, says nothing about them: they will take effect.
    const isKnown = error === undefined || isServerError(error)
    traces.slice(0, isKnown ? completed : deferred.length).forEach((trace) => trace?.answered())
    const failed = deferred[completed]
    if (failed === undefined || error === undefined || !isKnown) return
    traces[completed]?.failed(error)
    onFailed(failed, error)
  }
}

function traceOf(
  session: EventSource,
  { frame, op, sql }: DeferredCommand,
): QueryTrace | undefined {
  const trace = QueryTrace.start({
    database: session.database,
    layer: frame.layer,
    sql,
    control: op === 'set' ? 'set-transaction' : op,
    piggybacked: true,
    frame,
  })
  trace?.left(session)
  return trace
}

function ignore(): void {}
