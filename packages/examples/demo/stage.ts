// The output of the demo. `styleText` omits colours in a pipe, and respects NO_COLOR and FORCE_COLOR.

import { styleText } from 'node:util'
import { logQueries, type QueryEvent } from 'shared-connection'

const WIDTH = Math.max(60, Math.min(process.stdout.columns || 110, 130))
const COLOURS = { drizzle: 'green', kysely: 'cyan', shared: 'magenta', pg: 'yellow' } as const

/** The number of claims, and the number of those that held. */
export const claims = { made: 0, held: 0 }

function show(text = ''): void {
  process.stdout.write(`${text === '' ? '' : `  ${text}`}\n`)
}

export function title(text: string): void {
  show()
  show(styleText(['bold', 'underline'], text))
  show()
}

let chapters = 0

export function chapter(text: string): void {
  chapters += 1
  show()
  show(styleText('bold', `${chapters}. ${text}`))
  show()
}

export function say(text = ''): void {
  show(text)
}

export function whisper(text: string): void {
  show(styleText('dim', text))
}

/** Prints the source of the body of a function. */
export function program(fn: (...args: never[]) => unknown): void {
  const [, ...lines] = String(fn).split('\n').slice(0, -1)
  const indentation = lines[0]?.search(/\S/) ?? 0
  show()
  for (const line of lines) {
    // Node strips types, and leaves a blank in the place of each `!`.
    show(styleText('dim', '│ ') + line.slice(indentation).replaceAll(/(?<=\w) (?=\.)/g, ''))
  }
  show()
}

/** Prints a line of the log: the layer, the duration and the statement, indented by its depth. */
export function statement(
  event: Pick<QueryEvent, 'layer' | 'sql'> & Partial<Omit<QueryEvent, 'layer' | 'sql'>>,
): void {
  const { layer, sql, depth = 0, duration, piggybacked, control, sqlstate } = event
  const time = piggybacked ? 'free' : duration === undefined ? '' : `${duration.toFixed(1)} ms`
  const room = WIDTH - 24 - 2 * depth
  const text = sql.length > room ? `${sql.slice(0, room - 1)}…` : sql
  show(
    [
      styleText(COLOURS[layer], layer.padEnd(7)),
      styleText('dim', time.padStart(7)),
      styleText('dim', '· '.repeat(Math.max(0, depth - 1))) +
        (control === undefined ? text : styleText('bold', text)),
      sqlstate === undefined ? '' : styleText('red', `✗ ${sqlstate}`),
    ]
      .join('  ')
      .trimEnd(),
  )
}

/** Prints an event between two statements. */
export function happened(text: string): void {
  show(styleText('yellow', `hook${' '.repeat(14)}${text}`))
}

const events: QueryEvent[] = []

/** Prints every statement of every layer from now on. Returns a function that stops it. */
export function startLog(): () => void {
  return logQueries({
    write(_, event) {
      events.push(event)
      statement(event)
    },
  })
}

/** Returns the events that were logged while `fn` ran, or since the log began. */
export async function logged(fn?: () => Promise<unknown>): Promise<readonly QueryEvent[]> {
  const from = fn === undefined ? 0 : events.length
  await fn?.()
  return events.slice(from)
}

/** Prints a claim, and whether it holds. */
export function claim(text: string, condition: boolean): void {
  claims.made += 1
  if (condition) claims.held += 1
  show(condition ? `${styleText('green', '✓')} ${text}` : styleText('red', `✗ FALSE: ${text}`))
}
