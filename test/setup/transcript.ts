import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CHANNELS, type QueryEvent } from 'shared-connection'

/** The statements that were sent, according to the channel. */
export interface Transcript {
  /** The statements in the order of sending: control commands as text, others as verb and values. */
  lines(): string[]
  events(): QueryEvent[]
  clear(): void
  stop(): void
}

/** Starts to record. */
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
