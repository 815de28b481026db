import {
  type ControlCommand,
  controlCommand,
  isOneCommand,
} from '../../packages/bridge/src/sql/control-command.ts'
import type { Answer } from './server.ts'

/** The tags of the commands that move a transaction. */
const MOVES = new Set([
  'BEGIN',
  'START TRANSACTION',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT',
  'RELEASE',
  'PREPARE TRANSACTION',
])

type Kind = ControlCommand['kind']

/** The tags that a command of a kind can be answered with. COMMIT of what has failed is a ROLLBACK. */
const TAGS: { readonly [kind in Kind]?: readonly string[] } = {
  begin: ['BEGIN', 'START TRANSACTION'],
  commit: ['COMMIT', 'ROLLBACK'],
  rollback: ['ROLLBACK'],
  savepoint: ['SAVEPOINT'],
  release: ['RELEASE'],
  'rollback-to': ['ROLLBACK'],
  'set-transaction': ['SET'],
  'set-snapshot': ['SET'],
  'prepare-transaction': ['PREPARE TRANSACTION', 'ROLLBACK'],
}

/**
 * What is wrong with the tokenizer's words about a text, given what the server did with it.
 *
 * It may suspect more than there is, never less: the bridge refuses what is `malformed`, and what
 * is `several` inside a transaction, so these are the safe side. What it overlooks would move a
 * transaction behind the bridge's back, and so would a command that comes along with another.
 */
export function objections(text: string, isSingle: boolean, answer: Answer): string[] {
  const said = controlCommand(text, isSingle)
  const { tags, error } = answer
  const wrong: string[] = []
  const moved = tags.some((tag) => MOVES.has(tag)) || !staysPut(answer)

  if (said === undefined && moved) wrong.push('moves the transaction, and was overlooked')
  if (isOneCommand(text) && tags.length > 1) wrong.push('is several commands, and was called one')
  if (isOneCommand(text) && error?.message.startsWith('cannot insert multiple commands')) {
    wrong.push('is several commands for the extended protocol, and was called one')
  }
  const expected = said && TAGS[said.kind]
  if (expected !== undefined) {
    // the server may refuse what the tokenizer takes: a name that is a reserved word, say
    const isDone = error === undefined && tags.length === 1 && expected.includes(tags[0] ?? '')
    const isRefused = error !== undefined && tags.length === 0
    if (!isDone && !isRefused)
      wrong.push(`is more or other than the ${said?.kind} that it was called`)
    if (isDone && !arrives(said as ControlCommand, answer))
      wrong.push(`ends elsewhere than ${said?.kind}`)
  }
  // names with escapes are refused, though PostgreSQL takes them
  const isExact = !/u&"/i.test(text)
  if (said?.kind === 'malformed' && error === undefined && isExact) {
    wrong.push('was taken by the server, and called malformed')
  }
  const isAlone = tags.length === 1 && moved && error === undefined
  if (said?.kind === 'several' && isAlone && isOneCommand(text)) {
    wrong.push('is one command, and was called several')
  }
  return wrong
}

/** Whether the session is where it was, but for a failure. */
function staysPut({ before, after, error }: Answer): boolean {
  return after === before || (before === 'T' && after === 'E' && error !== undefined)
}

/** Whether the session is where a command brings it. */
function arrives(command: ControlCommand, { before, after }: Answer): boolean {
  switch (command.kind) {
    case 'begin':
      return after === 'T'
    case 'commit':
    case 'rollback':
      // outside a transaction there is nothing to go on with
      return after === (command.chain && before !== 'I' ? 'T' : 'I')
    case 'prepare-transaction':
      return after === 'I'
    case 'rollback-to':
      return after === 'T'
    default:
      return after === before
  }
}
