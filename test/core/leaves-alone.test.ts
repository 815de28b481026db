import { describe, expect, test } from 'vitest'
import { leavesAlone } from '../../packages/bridge/src/sql/leaves-alone.ts'

describe('leavesAlone', () => {
  test.each([
    'copy note from stdin',
    ' /* all */ DISCARD all',
    ';deallocate a',
    '-- x\nCopy note to stdout',
  ])('of %j is true', (text) => expect(leavesAlone(text)).toBe(true))

  test.each([
    'select 1',
    'insert into copy values (1)',
    'delete from note',
    'with a as (select 1) select 1',
    '',
    'call copy()',
  ])('of %j is false', (text) => expect(leavesAlone(text)).toBe(false))
})
