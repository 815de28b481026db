import * as fc from 'fast-check'
import { joined, spelling } from './blanks.ts'
import { content, quoted } from './literals.ts'

/** A name of a savepoint, in spellings that are the same or different for PostgreSQL. */
export const name: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    'sp1',
    'SP1',
    '"sp1"',
    '"SP1"',
    '"sp""1"',
    'a$b',
    '_1',
    'savepoint',
    '"savepoint"',
  ),
  fc.constantFrom('é', 'É', '"É"', '\u212a', 'k', 'İ', '"İ"', 'ß', 'ſ', '"ä;"'),
  fc.constantFrom('begin', 'to', 'select', '$x', '1x', 'U', '"u"', '""', '"x', 'Sp 1'),
  fc.constantFrom('U&"sp1"', 'u&"\\0073p1"', 'U&"d!0061" uescape \'!\''),
  // PostgreSQL truncates names to 63 bytes, at a character boundary.
  fc.nat(3).map((n) => `${'x'.repeat(61)}${'yéz'.slice(0, n)}`),
  fc.nat(2).map((n) => `"${'é'.repeat(31)}${'z'.repeat(n)}"`),
  content.map(quoted('"')),
)

/** Modes, some of which PostgreSQL refuses. */
const modes = fc
  .array(
    fc.tuple(
      fc.constantFrom(' ', ' ', ',', ' , '),
      spelling(
        'isolation level serializable',
        'isolation level repeatable read',
        'isolation level read committed',
        'isolation level read uncommitted',
        'read only',
        'read write',
        '[not] deferrable',
        'isolation level chaos',
        'isolation level [read write]',
        'read',
        'not',
      ),
    ),
    { maxLength: 3 },
  )
  .map((parts) => parts.map(([comma, mode], n) => (n === 0 ? mode : comma + mode)).join(''))

/** Commands that begin a transaction with modes, or set them. */
export const withModes = joined([
  spelling(
    'begin [work]',
    'begin [transaction]',
    'start transaction',
    'set transaction',
    'set local transaction',
    'set session transaction',
  ),
  modes,
])

/** Control commands in every spelling, and texts that resemble them. */
export const control: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: withModes, weight: 3 },
  spelling('commit [work]', 'commit [transaction]', 'end [work]', 'end [transaction]'),
  spelling('rollback [work]', 'rollback [transaction]', 'abort [work]', 'abort [transaction]'),
  spelling('commit and [no] chain', 'end work and [no] chain', 'abort transaction and [no] chain'),
  joined([spelling('savepoint'), name]),
  joined([spelling('release [savepoint]'), name]),
  joined([spelling('rollback to [savepoint]', 'rollback work to [savepoint]', 'abort to'), name]),
  spelling('prepare transaction').map((text) => `${text} 'x'`),
  spelling('set transaction snapshot').map((text) => `${text} '0-1'`),
)
