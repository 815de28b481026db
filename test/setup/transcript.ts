import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CHANNELS, type QueryEvent } from 'shared-connection'

/** What went over the wire, as the channel tells it. */
export interface Transcript {
  /** The statements in the order of the wire: control statements as sent, others as verb and values. */
  lines(): string[]
  events(): QueryEvent[]
  clear(): void
  stop(): void
}

/** Starts to listen. */
export function listen(): Transcript {
  let events: QueryEvent[] = []
  const onAnswer = (event: unknown): void => {
    events.push(event as QueryEvent)
  }
  const channel = `tracing:${CHANNELS.query}:asyncEnd`
  subscribe(channel, onAnswer)
  const sent = (): QueryEvent[] =>
    events.filter(({ seq }) => seq !== undefined).toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0))
  return {
    lines: () => sent().map(lineOf),
    events: sent,
    clear: () => {
      events = []
    },
    stop: () => unsubscribe(channel, onAnswer),
  }
}

function lineOf({ control, sql, parameters }: QueryEvent): string {
  if (control !== undefined) return sql
  const verb = sql.trim().split(/\s/, 1)[0]?.toLowerCase() ?? ''
  return [verb, ...parameters.map(String)].join(' ')
}
