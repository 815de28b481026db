import { describe, expect, test } from 'vitest'
import { readsOnly } from '../../packages/bridge/src/sql/reads-only.ts'

describe('readsOnly', () => {
  test.each([
    'select 1',
    '  SELECT 1',
    '\n\tselect 1;',
    'show all',
    'values (1)',
    'table note',
    'begin',
    'start transaction',
    'commit',
    'rollback to sp1',
    'savepoint x',
    'release x',
    'set local x = 1',
  ])('of %j holds', (text) => {
    expect(readsOnly(text)).toBe(true)
  })

  test.each([
    'insert into note values (1)',
    'update note set x = 1',
    'delete from note',
    'merge into note using x on true when matched then delete',
    'truncate note',
    'with x as (insert into note values (1)) select 1',
    'do $$ begin end $$',
    'call p()',
    'copy note from stdin',
    'create table x ()',
    'drop table note',
    'selected',
    'execute plan',
    'select 1; insert into note values (1)',
    'begin; insert into note values (1); commit',
    // EXPLAIN ANALYZE executes its statement.
    'explain analyze insert into note values (1)',
    'explain (analyze, verbose) delete from note',
    '/* select */ insert into note values (1)',
  ])('of %j does not hold', (text) => {
    expect(readsOnly(text)).toBe(false)
  })
})
