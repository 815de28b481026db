import {
  type ControlCommand,
  controlCommand,
  isOneCommand,
} from '../../packages/bridge/src/sql/control-command.ts'
import type { Answer } from './server.ts'

/** The tags of control commands. */
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

/** The tags that can answer a command of each kind. The answer to COMMIT may be ROLLBACK. */
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
 * Compares the tokenizer's result for a text with the server's behaviour. Returns the mistakes.
 *
 * The tokenizer may report too much, but never too little: the bridge refuses `malformed` texts, and
 * `several` inside a transaction, so these results are safe. A command that it overlooks would begin or end
 * a transaction without the bridge, and so would a second command in the text.
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
    // The server may refuse a text that the tokenizer accepts, for example a reserved word as a name.
    const isDone = error === undefined && tags.length === 1 && expected.includes(tags[0] ?? '')
    const isRefused = error !== undefined && tags.length === 0
    if (!isDone && !isRefused)
      wrong.push(`is more or other than the ${said?.kind} that it was called`)
    if (isDone && !arrives(said as ControlCommand, answer))
      wrong.push(`ends elsewhere than ${said?.kind}`)
  }
  // Names with escapes are refused, though PostgreSQL accepts them.
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

/** Whether the state of the session is unchanged, except for a failure. */
function staysPut({ before, after, error }: Answer): boolean {
  return after === before || (before === 'T' && after === 'E' && error !== undefined)
}

/** Whether the session is in the state that the command leads to. */
function arrives(command: ControlCommand, { before, after }: Answer): boolean {
  switch (command.kind) {
    case 'begin':
      return after === 'T'
    case 'commit':
    case 'rollback':
      // Outside a transaction there is nothing to chain.
      return after === (command.chain && before !== 'I' ? 'T' : 'I')
    case 'prepare-transaction':
      return after === 'I'
    case 'rollback-to':
      return after === 'T'
    default:
      return after === before
  }
}
