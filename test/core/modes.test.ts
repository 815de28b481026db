import { describe, expect, test } from 'vitest'
import { TransactionOptionError } from '../../packages/bridge/src/errors.ts'
import {
  controlCommand,
  ISOLATION_LEVELS,
  type TransactionModes,
} from '../../packages/bridge/src/sql/control-command.ts'
import {
  beginSql,
  releaseSql,
  rollbackToSql,
  savepointSql,
} from '../../packages/bridge/src/sql/control-sql.ts'
import { checkModes, narrowing } from '../../packages/bridge/src/transaction/modes.ts'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { scoped } from './make-frame.ts'

const every: TransactionModes[] = [undefined, ...ISOLATION_LEVELS].flatMap((isolationLevel) =>
  ([undefined, 'read only', 'read write'] as const).flatMap((accessMode) =>
    [undefined, true, false].map((deferrable) => ({
      ...(isolationLevel && { isolationLevel }),
      ...(accessMode && { accessMode }),
      ...(deferrable !== undefined && { deferrable }),
    })),
  ),
)

describe('modes', () => {
  test('of every kind are accepted, and can be read back from their SQL', () => {
    expect(every).toHaveLength(45)
    for (const modes of every) {
      checkModes(modes)
      expect(controlCommand(beginSql(modes), true)).toEqual({ kind: 'begin', modes })
    }
  })

  test.each([
    { isolationLevel: 'chaos' },
    { isolationLevel: '' },
    { isolationLevel: 'READ COMMITTED' },
    { isolationLevel: 'read committed; drop table note' },
    { isolationLevel: ['serializable'] },
    { isolationLevel: null },
    { accessMode: 'read' },
    { accessMode: 'read only; commit' },
    { accessMode: true },
    { deferrable: 'yes' },
    { deferrable: 1 },
    { deferrable: null },
  ])('like %j are refused', (modes) => {
    expect(() => checkModes(modes as TransactionModes)).toThrow(TransactionOptionError)
  })

  test('that are refused are named in the error, with the allowed values', () => {
    expect(() => checkModes({ isolationLevel: 'chaos' } as never)).toThrow(
      /"chaos".*read uncommitted, read committed, repeatable read, serializable/,
    )
  })
})

/** The mode that a savepoint must set, in a transaction with these modes. */
function inside(outer: TransactionModes, asked: TransactionModes, level = 'read committed') {
  const frame = new TransactionStack().push({ ...scoped, modes: outer })
  return narrowing(asked, frame, level as 'read committed')
}

describe('a savepoint', () => {
  test.each<[TransactionModes, TransactionModes]>([
    [{}, {}],
    [{}, { isolationLevel: 'read committed' }],
    [{ isolationLevel: 'serializable' }, { isolationLevel: 'serializable' }],
    [{}, { accessMode: 'read write' }],
    [{ accessMode: 'read write' }, { accessMode: 'read write' }],
    [{ accessMode: 'read only' }, { accessMode: 'read only' }],
    [{ accessMode: 'read only' }, {}],
    [{}, { deferrable: false }],
    [{ deferrable: true }, { deferrable: true }],
  ])('inside %j may ask for %j, and nothing has to be set', (outer, asked) => {
    expect(inside(outer, asked)).toBeUndefined()
  })

  test.each<[TransactionModes]>([[{}], [{ accessMode: 'read write' }]])(
    'inside %j is narrowed to read only',
    (outer) => {
      expect(inside(outer, { accessMode: 'read only' })).toBe('read only')
    },
  )

  test.each<[TransactionModes, TransactionModes]>([
    [{}, { isolationLevel: 'serializable' }],
    [{ isolationLevel: 'serializable' }, { isolationLevel: 'read committed' }],
    [{ isolationLevel: 'repeatable read' }, { isolationLevel: 'serializable' }],
    [{ accessMode: 'read only' }, { accessMode: 'read write' }],
    [{}, { deferrable: true }],
    [{ deferrable: true }, { deferrable: false }],
    [{}, { isolationLevel: 'chaos' as never }],
  ])('inside %j may not ask for %j', (outer, asked) => {
    expect(() => inside(outer, asked)).toThrow(TransactionOptionError)
  })

  test('is compared with the default level if the outer transaction has none', () => {
    expect(inside({}, { isolationLevel: 'serializable' }, 'serializable')).toBeUndefined()
    expect(() => inside({}, { isolationLevel: 'read committed' }, 'serializable')).toThrow(
      TransactionOptionError,
    )
  })
})

describe('the SQL for savepoints', () => {
  test.each([
    ['sp1', 'sp1'],
    ['sp1_2', 'sp1_2'],
    ['SP1', '"SP1"'],
    ['mark', '"mark"'],
    ['a"b', '"a""b"'],
    ['x; drop table note', '"x; drop table note"'],
    ['', '""'],
  ])('names %j as %s', (name, quoted) => {
    expect(savepointSql(name)).toBe(`savepoint ${quoted}`)
    expect(releaseSql(name)).toBe(`release savepoint ${quoted}`)
    expect(rollbackToSql(name)).toBe(`rollback to savepoint ${quoted}`)
    if (name !== '') {
      expect(controlCommand(savepointSql(name), false)).toEqual({ kind: 'savepoint', name })
      expect(controlCommand(releaseSql(name), false)).toEqual({ kind: 'release', name })
      expect(controlCommand(rollbackToSql(name), false)).toEqual({ kind: 'rollback-to', name })
    }
  })
})
