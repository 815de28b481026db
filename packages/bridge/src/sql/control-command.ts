import { Scanner } from './scanner.ts'

/** The isolation levels of PostgreSQL, from the weakest to the strongest. */
export const ISOLATION_LEVELS = [
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
] as const

/** An isolation level of PostgreSQL. */
export type IsolationLevel = (typeof ISOLATION_LEVELS)[number]

/** The access mode of a transaction: whether it may write. */
export type AccessMode = 'read only' | 'read write'

/**
 * The modes of BEGIN and SET TRANSACTION. Modes that are left out are those of the server.
 *
 * Source: https://www.postgresql.org/docs/current/sql-set-transaction.html
 */
export interface TransactionModes {
  /** The isolation level: `isolation level …`. */
  readonly isolationLevel?: IsolationLevel
  /** The access mode: `read only` or `read write`. */
  readonly accessMode?: AccessMode
  /**
   * `deferrable` or `not deferrable`. A deferrable transaction that is serializable and read only may
   * wait when it begins, and then runs without the risk of a serialization failure.
   */
  readonly deferrable?: boolean
}

/** A transaction control command, as the bridge understands it. */
export type ControlCommand =
  | { readonly kind: 'begin' | 'set-transaction'; readonly modes: TransactionModes }
  | { readonly kind: 'commit' | 'rollback'; readonly chain: boolean }
  | { readonly kind: 'savepoint' | 'release' | 'rollback-to'; readonly name: string }
  /** SET TRANSACTION SNAPSHOT, and PREPARE TRANSACTION. */
  | { readonly kind: 'set-snapshot' | 'prepare-transaction' }
  /** Several commands in one text, at least one of which is a control command. */
  | { readonly kind: 'several' }
  /** A control command with a syntax error. */
  | { readonly kind: 'malformed'; readonly near: string }

/**
 * Parses the control command in a text. Returns `undefined` for any other SQL.
 *
 * A text with parameters or a statement name is one command by protocol (`single`), so its first word
 * decides, however long the text is.
 */
export function controlCommand(text: string, single: boolean): ControlCommand | undefined {
  // The lookup hashes the whole text, so long texts are not looked up.
  const known = text.length <= LONGEST_KNOWN ? KNOWN.get(text) : undefined
  if (known !== undefined) return known
  const several = !single && text.includes(';')
  if (!several) return mayControl(text) ? command(new Scanner(text)) : undefined

  const scanner = new Scanner(text)
  const first = command(scanner)
  scanner.skipCommand()
  if (scanner.done) return first
  let control = first !== undefined
  while (!control && !scanner.done) {
    control = command(scanner) !== undefined
    scanner.skipCommand()
  }
  return control ? { kind: 'several' } : undefined
}

/** The control commands that the layers send most often. */
const KNOWN: ReadonlyMap<string, ControlCommand> = new Map<string, ControlCommand>([
  ['begin', { kind: 'begin', modes: {} }],
  ['commit', { kind: 'commit', chain: false }],
  ['rollback', { kind: 'rollback', chain: false }],
])

const LONGEST_KNOWN = 'rollback'.length

/** Whether a text may begin with a control command. The first letters rule out nearly all other texts. */
function mayControl(text: string): boolean {
  const first = text.charCodeAt(0) | 0x20
  // First `select`, then `insert`, `update`, `delete` and `with`.
  if (first === 0x73) return (text.charCodeAt(2) | 0x20) !== 0x6c
  return first !== 0x69 && first !== 0x75 && first !== 0x64 && first !== 0x77
}

/** Whether only blanks and comments follow the first `;`. The extended protocol accepts one command only. */
export function isOneCommand(text: string): boolean {
  if (!text.includes(';')) return true
  const scanner = new Scanner(text)
  scanner.skipEmptyCommands()
  scanner.skipCommand()
  return scanner.done
}

function command(scanner: Scanner): ControlCommand | undefined {
  scanner.skipEmptyCommands()
  switch (scanner.word()) {
    case 'begin':
      return begin(scanner, scanner.word())
    case 'start':
      return scanner.word() === 'transaction' ? begin(scanner, 'transaction') : undefined
    case 'commit':
    case 'end':
      return end(scanner, 'commit')
    case 'rollback':
    case 'abort':
      return end(scanner, 'rollback')
    case 'savepoint':
      return named(scanner, 'savepoint', scanner.name())
    case 'release':
      return named(scanner, 'release', nameAfterSavepoint(scanner))
    case 'prepare':
      return scanner.word() === 'transaction' ? { kind: 'prepare-transaction' } : undefined
    case 'set':
      return set(scanner, scanner.word())
    default:
      return undefined
  }
}

function begin(scanner: Scanner, word: string): ControlCommand {
  const first = word === 'transaction' || word === 'work' ? scanner.word() : word
  return withModes(scanner, 'begin', first)
}

/** The server treats SET LOCAL TRANSACTION and SET SESSION TRANSACTION as SET TRANSACTION. */
function set(scanner: Scanner, word: string): ControlCommand | undefined {
  const what = word === 'local' || word === 'session' ? scanner.word() : word
  return what === 'transaction' ? setTransaction(scanner) : undefined
}

function setTransaction(scanner: Scanner): ControlCommand {
  const first = scanner.word()
  if (first === 'snapshot') return { kind: 'set-snapshot' }
  return withModes(scanner, 'set-transaction', first)
}

function withModes(
  scanner: Scanner,
  kind: 'begin' | 'set-transaction',
  first: string,
): ControlCommand {
  const modes: { -readonly [K in keyof TransactionModes]: TransactionModes[K] } = {}
  for (let word = first; word !== ''; word = scanner.word()) {
    if (word === 'isolation') {
      const isolationLevel = level(scanner)
      if (typeof isolationLevel === 'object') return isolationLevel
      modes.isolationLevel = isolationLevel
    } else if (word === 'read') {
      const mode = scanner.word()
      if (mode !== 'only' && mode !== 'write') return { kind: 'malformed', near: `read ${mode}` }
      modes.accessMode = `read ${mode}`
    } else if (word === 'deferrable') modes.deferrable = true
    else if (word === 'not' && scanner.word() === 'deferrable') modes.deferrable = false
    else return { kind: 'malformed', near: word }
    const isLast = !scanner.take(',')
    if (!isLast && atEnd(scanner)) return { kind: 'malformed', near: ',' }
  }
  return atEnd(scanner) ? { kind, modes } : { kind: 'malformed', near: kind }
}

function level(scanner: Scanner): IsolationLevel | { kind: 'malformed'; near: string } {
  if (scanner.word() !== 'level') return { kind: 'malformed', near: 'isolation' }
  const first = scanner.word()
  const words = first === 'read' || first === 'repeatable' ? `${first} ${scanner.word()}` : first
  const found = ISOLATION_LEVELS.find((known) => known === words)
  return found ?? { kind: 'malformed', near: `isolation level ${words}` }
}

function end(scanner: Scanner, kind: 'commit' | 'rollback'): ControlCommand | undefined {
  let word = scanner.word()
  if (word === 'prepared') return undefined
  if (word === 'transaction' || word === 'work') word = scanner.word()
  if (word === 'to' && kind === 'rollback') {
    return named(scanner, 'rollback-to', nameAfterSavepoint(scanner))
  }
  if (word === 'and') {
    const no = scanner.word()
    const chain = no === 'no' ? scanner.word() : no
    if (chain !== 'chain' || !atEnd(scanner)) return { kind: 'malformed', near: `and ${no}` }
    return { kind, chain: no !== 'no' }
  }
  return word === '' && atEnd(scanner)
    ? { kind, chain: false }
    : { kind: 'malformed', near: word || kind }
}

function nameAfterSavepoint(scanner: Scanner): string | undefined {
  const name = scanner.name()
  // Both `release savepoint x` and `release x` are valid, and a savepoint may be named `savepoint`.
  return name === 'savepoint' ? (scanner.name() ?? name) : name
}

function named(
  scanner: Scanner,
  kind: 'savepoint' | 'release' | 'rollback-to',
  name: string | undefined,
): ControlCommand {
  if (name === undefined || !atEnd(scanner)) return { kind: 'malformed', near: kind }
  return { kind, name }
}

/** Whether the command ends here: at the end of the text, or at a `;`, which is not consumed. */
function atEnd(scanner: Scanner): boolean {
  return scanner.done || scanner.next === ';'
}
