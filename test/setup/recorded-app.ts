import { type App, type AppOptions, notes, useApp } from './app.ts'
import { recorder } from './recorder.ts'
import { type Manner, mannersHere } from './worlds.ts'

/** An application whose pool has one client, and the bytes that the client wrote. */
export interface RecordedApp {
  readonly app: App
  /** The statements that were sent, in the order of the bytes. */
  readonly sent: () => string[]
  /** The number of round trips. */
  readonly trips: () => number
  /** Forgets the statements sent so far. */
  readonly clear: () => void
}

/** Makes an application whose bytes are recorded, for the calling test file. */
export function useRecordedApp(options: AppOptions = {}): RecordedApp {
  const wire = recorder()
  const pool = { ...options.pool, max: 1, stream: () => wire.stream() }
  const app = useApp({ ...options, pool })
  return {
    app,
    sent: () => wire.statements().map(verbOf),
    trips: () => wire.trips(),
    clear: () => {
      wire.clear()
      app.transcript.clear()
    },
  }
}

/** The text of a control command, or the verb of another statement. */
function verbOf(text: string): string {
  if (/^(begin|savepoint|release|rollback|commit)\b/i.test(text)) return text
  return text.trim().split(/[\s;]/, 1)[0]?.toLowerCase() ?? ''
}

/** The settings with which statements are pipelined. */
export const joining: readonly Manner[] = mannersHere([
  { name: 'any client', options: {} },
  { name: 'a client in pipeline mode', options: { pool: { pipeline: true } } },
  { name: 'no subscribers', options: { unheard: true } },
])

/** Writes a note with the plain driver. */
export function note(app: App, text: unknown): Promise<{ rows: { id: number; text: string }[] }> {
  return app.pool.query('insert into note (text) values ($1) returning id, text', [text])
}

/** Writes one note with each layer, and returns their answers. */
export function oneOfEach(app: App, ...[first, second, third]: [string, string, string]) {
  return [
    app.orm
      .insert(notes)
      .values({ text: first })
      .returning({ text: notes.text })
      .then((rows) => rows.map(({ text }) => text)),
    app.db
      .insertInto('note')
      .values({ text: second })
      .returning('text')
      .execute()
      .then((rows) => rows.map(({ text }) => text)),
    note(app, third).then(({ rows }) => rows.map(({ text }) => text)),
  ] as const
}
