import { describe, expect, test } from 'vitest'
import { Scanner } from '../../packages/bridge/src/sql/scanner.ts'

/** The words of a text, up to the first thing that is no word. */
function words(text: string): string[] {
  const scanner = new Scanner(text)
  const found: string[] = []
  for (let word = scanner.word(); word !== ''; word = scanner.word()) found.push(word)
  return found
}

/** The first word of each command in a text. */
function commands(text: string): string[] {
  const scanner = new Scanner(text)
  const found: string[] = []
  while (!scanner.done) {
    found.push(scanner.word())
    scanner.skipCommand()
  }
  return found
}

describe('word', () => {
  test.each([
    ['begin', ['begin']],
    ['BeGiN', ['begin']],
    ['  start\ttransaction\n', ['start', 'transaction']],
    ['\u000b\u000cbegin\r\n', ['begin']],
    ['-- a comment\nbegin', ['begin']],
    ['-- a comment\rbegin', ['begin']],
    ['-- nothing but a comment', []],
    ['/* a comment */begin/**/work', ['begin', 'work']],
    ['/* one /* in */ another */ begin', ['begin']],
    ['/* never closed /* */ begin', []],
    ['/* -- */ begin', ['begin']],
    ['-- /*\nbegin -- */', ['begin']],
    ['begin;', ['begin']],
    ['(select', []],
    ['"begin"', []],
    ["'begin'", []],
    ['', []],
    [' ', []],
    ['sp1 sp_2', ['sp1', 'sp_2']],
    ['größe', ['größe']],
    ['begin- work', ['begin']],
    ['begin/work', ['begin']],
  ])('of %j reads %j', (text, expected) => {
    expect(words(text)).toEqual(expected)
  })

  test('takes nothing if something else comes next', () => {
    const scanner = new Scanner('"x" y')
    expect(scanner.word()).toBe('')
    expect(scanner.name()).toBe('x')
    expect(scanner.word()).toBe('y')
    expect(scanner.word()).toBe('')
  })
})

describe('name', () => {
  test.each([
    ['sp1', 'sp1'],
    ['SP1', 'sp1'],
    ['"SP1"', 'SP1'],
    ['"a b"', 'a b'],
    ['"a""b"', 'a"b'],
    ['""""', '"'],
    ['"a;b"', 'a;b'],
    ['"--"', '--'],
    ['/* x */ "y"', 'y'],
    ['a$b', 'a$b'],
    ['"ünï"', 'ünï'],
    ['', undefined],
    [';', undefined],
    ["'text'", undefined],
  ])('of %j is %j', (text, expected) => {
    expect(new Scanner(text).name()).toBe(expected)
  })
})

describe('take, next and done', () => {
  test('skip blanks and comments', () => {
    const scanner = new Scanner(' /* x */ , -- y\n ;')
    expect(scanner.next).toBe(',')
    expect(scanner.take(';')).toBe(false)
    expect(scanner.take(',')).toBe(true)
    expect(scanner.done).toBe(false)
    expect(scanner.next).toBe(';')
    expect(scanner.take(';')).toBe(true)
    expect(scanner.next).toBeUndefined()
    expect(scanner.done).toBe(true)
  })

  test.each(['', '  ', '-- x', '/* x', '/* /* */ */ \n'])('%j has no commands', (text) => {
    expect(new Scanner(text).done).toBe(true)
  })
})

describe('skipCommand', () => {
  test.each([
    ['select 1', ['select']],
    ['select 1;', ['select']],
    ['select 1; commit', ['select', 'commit']],
    ['select 1 ; -- over\n /* ; */ commit', ['select', 'commit']],
    ["select ';'; commit", ['select', 'commit']],
    ["select 'it''s;'; commit", ['select', 'commit']],
    ["select E'\\';'; commit", ['select', 'commit']],
    ["select e'\\\\'; commit", ['select', 'commit']],
    ["select e'a''b;\\''; commit", ['select', 'commit']],
    ["select '\\'; commit", ['select', 'commit']],
    ["select N'\\'; commit", ['select', 'commit']],
    ["select B'01'; commit", ['select', 'commit']],
    ["select U&'\\0061'; commit", ['select', 'commit']],
    ["select name'\\'; commit", ['select', 'commit']],
    ['select ";"; commit', ['select', 'commit']],
    ['select "a"";"; commit', ['select', 'commit']],
    ['select $$;$$; commit', ['select', 'commit']],
    ['select $a$;$$;$a$; commit', ['select', 'commit']],
    ['select $a$ $b$ ; $a$; commit', ['select', 'commit']],
    ['select $ä_1$;$ä_1$; commit', ['select', 'commit']],
    ['select $1; commit', ['select', 'commit']],
    ['select $1$2; commit', ['select', 'commit']],
    ['select a$b; commit; select c$d', ['select', 'commit', 'select']],
    ['select a$$; commit', ['select', 'commit']],
    ['select 1 /* ; /* ; */ ; */; commit', ['select', 'commit']],
    ['select 1 -- ;\n; commit', ['select', 'commit']],
    ["select 'never closed; commit", ['select']],
    ['select "never closed; commit', ['select']],
    ['select $$never closed; commit', ['select']],
    ['select /* never closed; commit', ['select']],
    ['create rule r as on insert to t do (select 1; select 2); commit', ['create', 'commit']],
    ['select (1; commit', ['select']],
    ['select 1); commit', ['select', 'commit']],
    [
      'create function f() returns int begin atomic select 1; select 2; end; commit',
      ['create', 'commit'],
    ],
    [
      'create function f() returns int begin atomic select case when true then 1 end; end; commit',
      ['create', 'commit'],
    ],
    [
      'create procedure p() begin atomic insert into t values (1); end; begin; end',
      ['create', 'begin', 'end'],
    ],
    ['create function f() begin atomic end; commit', ['create', 'commit']],
    ['begin; select case when true then 1 end; commit', ['begin', 'select', 'commit']],
    ['select atomic from begin; commit', ['select', 'commit']],
    ['do $do$ begin commit; end $do$; select 1', ['do', 'select']],
  ])('%j has the commands %j', (text, expected) => {
    expect(commands(text)).toEqual(expected)
  })

  test('is quick on a text of many megabytes that never ends', () => {
    for (const text of ["'", "e'' -- ", "e'\n'", '"', '$$', '/*', '(', '-- ', '$a', '/* */']) {
      const started = performance.now()
      expect(commands(`select ${text.repeat(200_000)}`)).toHaveLength(1)
      expect(performance.now() - started).toBeLessThan(1000)
    }
  })
})
