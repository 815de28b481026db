import { describe, expect, test } from 'vitest'
import {
  controlCommand,
  ISOLATION_LEVELS,
  isOneCommand,
} from '../../packages/bridge/src/sql/control-command.ts'

const begin = (modes: object = {}) => ({ kind: 'begin', modes })
const commit = { kind: 'commit', chain: false }
const rollback = { kind: 'rollback', chain: false }
const malformed = { kind: 'malformed', near: expect.any(String) as string }
const several = { kind: 'several' }
const named = (kind: string, name: string) => ({ kind, name })

describe('a command on its own', () => {
  test.each([
    ['begin', begin()],
    ['BEGIN;', begin()],
    ['begin work', begin()],
    ['begin transaction', begin()],
    ['start transaction', begin()],
    ['/* x */ Start /* y */ Transaction -- z', begin()],
    ['start', undefined],
    ['start transactions', undefined],
    ['commit', commit],
    ['commit work', commit],
    ['commit transaction;', commit],
    ['end', commit],
    ['end transaction', commit],
    ['end work', commit],
    ['commit and no chain', commit],
    ['commit and chain', { kind: 'commit', chain: true }],
    ['end work and chain', { kind: 'commit', chain: true }],
    ['rollback', rollback],
    ['rollback work', rollback],
    ['abort', rollback],
    ['abort transaction', rollback],
    ['rollback and no chain', rollback],
    ['rollback and chain', { kind: 'rollback', chain: true }],
    ['abort and chain', { kind: 'rollback', chain: true }],
    ['savepoint sp1', named('savepoint', 'sp1')],
    ['savepoint SP1', named('savepoint', 'sp1')],
    ['savepoint "Sp 1"', named('savepoint', 'Sp 1')],
    ['savepoint "a""b"', named('savepoint', 'a"b')],
    ['savepoint savepoint', named('savepoint', 'savepoint')],
    ['release sp1', named('release', 'sp1')],
    ['release savepoint sp1', named('release', 'sp1')],
    ['release savepoint "X"', named('release', 'X')],
    ['release "X"', named('release', 'X')],
    ['release savepoint', named('release', 'savepoint')],
    ['release savepoint savepoint', named('release', 'savepoint')],
    ['rollback to sp1', named('rollback-to', 'sp1')],
    ['rollback to savepoint sp1', named('rollback-to', 'sp1')],
    ['rollback work to savepoint sp1', named('rollback-to', 'sp1')],
    ['rollback transaction to "x"', named('rollback-to', 'x')],
    ['abort to savepoint sp1', named('rollback-to', 'sp1')],
    ["prepare transaction 'x'", { kind: 'prepare-transaction' }],
    ['prepare plan as select 1', undefined],
    ["commit prepared 'x'", undefined],
    ["rollback prepared 'x'", undefined],
    ['set transaction read only', { kind: 'set-transaction', modes: { accessMode: 'read only' } }],
    ["set transaction snapshot '0-1'", { kind: 'set-snapshot' }],
    ['set local work_mem = 1', undefined],
    ['select 1', undefined],
    ['begins', undefined],
    ['"begin"', undefined],
    ["'begin'", undefined],
    ['explain begin', undefined],
    ['commit_log', undefined],
    ['rollbacks', undefined],
    ['', undefined],
    [';', undefined],
    ['-- begin', undefined],
    ['/* begin */', undefined],
  ])('%j', (text, expected) => {
    expect(controlCommand(text, false)).toEqual(expected)
    expect(controlCommand(text, true)).toEqual(expected)
  })
})

describe('modes', () => {
  test.each(ISOLATION_LEVELS)('isolation level %s', (isolationLevel) => {
    const upper = isolationLevel.toUpperCase()
    expect(controlCommand(`begin isolation level ${isolationLevel}`, true)).toEqual(
      begin({ isolationLevel }),
    )
    expect(controlCommand(`START TRANSACTION ISOLATION LEVEL ${upper}`, true)).toEqual(
      begin({ isolationLevel }),
    )
    expect(controlCommand(`set transaction isolation level ${isolationLevel}`, true)).toEqual({
      kind: 'set-transaction',
      modes: { isolationLevel },
    })
  })

  test.each([
    ['begin read only', { accessMode: 'read only' }],
    ['begin read write', { accessMode: 'read write' }],
    ['begin deferrable', { deferrable: true }],
    ['begin not deferrable', { deferrable: false }],
    ['begin read only deferrable', { accessMode: 'read only', deferrable: true }],
    ['begin read only, deferrable', { accessMode: 'read only', deferrable: true }],
    [
      'begin work isolation level serializable, read only, deferrable;',
      { isolationLevel: 'serializable', accessMode: 'read only', deferrable: true },
    ],
    [
      'begin isolation /* x */ level\nrepeatable -- y\n read read only',
      { isolationLevel: 'repeatable read', accessMode: 'read only' },
    ],
    ['begin read only read write', { accessMode: 'read write' }],
  ])('%j', (text, modes) => {
    expect(controlCommand(text, true)).toEqual(begin(modes))
  })
})

describe('words that PostgreSQL would not take', () => {
  test.each([
    'begin isolation',
    'begin isolation level',
    'begin isolation level chaos',
    'begin isolation level read',
    'begin isolation level read uncommited',
    'begin isolation level repeatable',
    'begin isolation level repeatable write',
    'begin isolation level "serializable"',
    "begin isolation level 'serializable'",
    'begin isolation level serializable read',
    'begin read',
    'begin read always',
    'begin not',
    'begin not read',
    'begin transaction transaction',
    'begin work work',
    'begin (select 1)',
    'begin "x"',
    "begin 'x'",
    'begin, read only',
    'begin read only,',
    'commit now',
    'commit and',
    'commit and no',
    'commit and chains',
    'commit and chain now',
    'commit and no chain now',
    'commit "x"',
    'commit to sp1',
    'rollback and chain to sp1',
    'rollback to',
    'rollback to savepoint',
    'rollback to sp1 sp2',
    'savepoint',
    "savepoint 'x'",
    'savepoint sp1 sp2',
    'savepoint 1x',
    'release',
    'release savepoint sp1 now',
    'set transaction nonsense',
  ])('%j', (text) => {
    // A savepoint may be named `savepoint`.
    const expected =
      text === 'rollback to savepoint' ? named('rollback-to', 'savepoint') : malformed
    expect(controlCommand(text, true)).toEqual(expected)
  })
})

describe('an attempt to hide a command', () => {
  test.each([
    'begin isolation level serializable; drop table note',
    'begin isolation level read committed; commit; drop table note --',
    'begin read only; select 1',
    'begin; commit; begin',
    'savepoint sp1; drop table note',
    'release savepoint sp1; commit',
    'commit; drop table note',
    'rollback to savepoint sp1; rollback',
    'select 1; commit',
    "select ';'; rollback",
    'select $$;$$; savepoint x',
    '; ; begin; commit',
    'select 1;;end',
    'select 1; begin isolation level nonsense',
  ])('%j is several commands', (text) => {
    expect(controlCommand(text, false)).toEqual(several)
  })

  test.each([
    ['; ; begin', { kind: 'begin', modes: {} }],
    [';commit', { kind: 'commit', chain: false }],
    [' ;-- over\n; rollback;', { kind: 'rollback', chain: false }],
  ])('%j is one command: PostgreSQL drops the empty ones', (text, expected) => {
    expect(controlCommand(text, false)).toEqual(expected)
    expect(controlCommand(text, true)).toEqual(expected)
    expect(isOneCommand(text)).toBe(true)
  })

  test.each([
    'select begin.atomic from (select 1 atomic) begin; commit',
    'select begin atomic from (select 1 begin) t; commit',
    'create function f() returns int begin atomic select 1 as case; end; commit',
    "select e'a'\n'\\''; commit; select 'x'",
    "select E'a' -- ' \n -- '\n '\\''; commit; select 'x'",
  ])('%j has a control command where none seems to be', (text) => {
    expect(controlCommand(text, false)).toEqual(several)
  })

  test.each([
    'select 1; select 2',
    "select '; commit'; select 2",
    'select 1 -- ; commit\n; select 2',
    'select $$; commit;$$; select 1',
    'create rule r as on insert to t do (select 1; select 2); select 3',
    'create function f() begin atomic select 1; end; select 1',
    'select "a;b"; select "commit;"',
    "select E'\\'; commit; '; select 1",
    'do $$ begin commit; end $$; select 1',
    'select 1;',
    ';;',
  ])('%j moves no transaction', (text) => {
    expect(controlCommand(text, false)).toBeUndefined()
  })

  test('a text with values or a name is one command, whatever comes behind its first word', () => {
    expect(controlCommand(`insert into note values ('; commit;')`, true)).toBeUndefined()
    expect(controlCommand(`select ${'; commit'.repeat(3)}`, true)).toBeUndefined()
  })

  test('names in quotes can hold anything', () => {
    expect(controlCommand('savepoint "x; drop table note"', false)).toEqual(
      named('savepoint', 'x; drop table note'),
    )
    expect(controlCommand('rollback to savepoint "x"";--"', false)).toEqual(
      named('rollback-to', 'x";--'),
    )
  })
})

describe('isOneCommand', () => {
  test.each([
    ['select 1', true],
    ['select 1;', true],
    ['select 1; -- over', true],
    ['select 1; /* ; */', true],
    ["select ';'", true],
    ['create function f() begin atomic select 1; end', true],
    ['', true],
    ['select 1; select 2', false],
    ['select 1;;', false],
    ["select ';'; x", false],
  ])('of %j is %j', (text, expected) => {
    expect(isOneCommand(text)).toBe(expected)
  })
})
