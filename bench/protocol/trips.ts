import { command, query, statement, SYNC } from './messages.ts'

const INSERT = statement('insert into note (text) values ($1)', ['one'])

/** The bytes of an operation. Each round trip is one write, and one ReadyForQuery ends its answer. */
export interface Trips {
  /** Without the bridge, each statement is a round trip. */
  readonly stock: readonly Buffer[]
  /** With the bridge, BEGIN and SAVEPOINT are piggybacked on a statement. */
  readonly merged: readonly Buffer[]
}

const alone = Buffer.concat([INSERT, SYNC])
const begin = query('begin')
const commit = query('commit')
const save = (level: number): string => `savepoint s${level}`
const release = (level: number): string => `release savepoint s${level}`

function behind(sql: string): Buffer {
  return Buffer.concat([command(sql), INSERT, SYNC])
}

const LEVELS = [1, 2, 3, 4]
const TEN = Array.from({ length: 10 }, () => INSERT)

export const TRIPS = {
  'two-inserts': {
    stock: [begin, alone, alone, commit],
    merged: [behind('begin'), alone, commit],
  },
  savepoint: {
    stock: [begin, alone, alone, query(save(1)), alone, query(release(1)), commit],
    merged: [behind('begin'), alone, behind(save(1)), commit],
  },
  'five-levels': {
    stock: [
      begin,
      alone,
      ...LEVELS.flatMap((level) => [query(save(level)), alone]),
      ...LEVELS.toReversed().map((level) => query(release(level))),
      commit,
    ],
    merged: [behind('begin'), ...LEVELS.map((level) => behind(save(level))), commit],
  },
  'inserts-together': {
    stock: [begin, ...TEN.map(() => alone), commit],
    merged: [Buffer.concat([command('begin'), ...TEN, SYNC]), commit],
  },
  batch: {
    stock: [begin, ...TEN.map(() => alone), commit],
    merged: [Buffer.concat([command('begin'), ...TEN, command('commit'), SYNC])],
  },
} as const satisfies { readonly [scenario: string]: Trips }
