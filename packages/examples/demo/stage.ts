// What the demo shows on the terminal. `styleText` leaves colours out in a pipe, and does as
// NO_COLOR and FORCE_COLOR say.

import { styleText } from 'node:util'
import { logQueries, type QueryEvent } from 'shared-connection'

const WIDTH = Math.max(60, Math.min(process.stdout.columns || 110, 130))
const COLOURS = { drizzle: 'green', kysely: 'cyan', shared: 'magenta', pg: 'yellow' } as const

/** How many claims were made, and how many of them held. */
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

/** Shows the body of a function, as it stands in its file. */
export function program(fn: (...args: never[]) => unknown): void {
  const [, ...lines] = String(fn).split('\n').slice(0, -1)
  const indentation = lines[0]?.search(/\S/) ?? 0
  show()
  for (const line of lines) {
    // Node strips the types, and leaves a blank where `!` was.
    show(styleText('dim', '│ ') + line.slice(indentation).replaceAll(/(?<=\w) (?=\.)/g, ''))
  }
  show()
}

/** One line of the log: who, how long, and what, indented as deep as it is nested. */
export function statement(
  event: Pick<QueryEvent, 'layer' | 'sql'> & Partial<Omit<QueryEvent, 'layer' | 'sql'>>,
): void {
  const { layer, sql, depth = 0, duration, piggybacked, control, sqlstate } = event
  const time = piggybacked ? 'rides' : duration === undefined ? '' : `${duration.toFixed(1)} ms`
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

/** Something that happened between two statements. */
export function happened(text: string): void {
  show(styleText('yellow', `hook${' '.repeat(14)}${text}`))
}

const events: QueryEvent[] = []

/** From now on, shows every statement of every layer. Gives back what ends it. */
export function startLog(): () => void {
  return logQueries({
    write(_, event) {
      events.push(event)
      statement(event)
    },
  })
}

/** What was logged while `fn` ran, or since the log began. */
export async function logged(fn?: () => Promise<unknown>): Promise<readonly QueryEvent[]> {
  const from = fn === undefined ? 0 : events.length
  await fn?.()
  return events.slice(from)
}

/** Says something, and whether it is so. */
export function claim(text: string, condition: boolean): void {
  claims.made += 1
  if (condition) claims.held += 1
  show(condition ? `${styleText('green', '✓')} ${text}` : styleText('red', `✗ NOT SO: ${text}`))
}
