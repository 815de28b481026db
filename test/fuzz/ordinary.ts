import * as fc from 'fast-check'
import { blank } from './blanks.ts'
import { label, literal } from './literals.ts'

/** Routines with an SQL body instead of a string: neither their `;` nor each `end` ends the command. */
const bodies = fc.oneof(
  literal.map(
    (value) =>
      `create or replace function f() returns text begin atomic select ${value}::text; select 'x'; end`,
  ),
  fc
    .tuple(literal, label)
    .map(
      ([value, name]) =>
        `create or replace procedure p() begin atomic select case when true then ${value} end ${name}; end`,
    ),
  fc.constant('create or replace function g() returns int language sql return 1'),
)

/** Words that are commands elsewhere. */
const deceiving = fc.constantFrom(
  '',
  '',
  'select begin.atomic from (select 1 atomic) begin',
  'select begin atomic from (select 1 begin) t',
  'select 1 from (select 1 as begin, 2 as atomic) t',
  'select case.end from (select 1 as end) as "case"',
  'set application_name to begin',
  'set local work_mem = 64',
  "set session time zone 'utc'",
  'do $$ begin commit; end $$',
  'do $$ begin null; end $$',
  "commit prepared 'x'",
  "rollback prepared 'x'",
  'notify begin',
  "notify begin, 'commit; begin'",
  'select 1 as "a;b"',
  'explain select 1',
  'execute plan',
  'prepare x',
  'start',
  'table t',
)

/** Texts that resemble control commands, but are none. */
export const ordinary: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: literal.map((value) => `select ${value}`), weight: 4 },
  {
    arbitrary: fc.tuple(literal, label).map(([value, name]) => `select ${value} ${name}`),
    weight: 3,
  },
  { arbitrary: fc.tuple(literal, literal).map(([one, two]) => `select ${one}, ${two}`), weight: 2 },
  { arbitrary: bodies, weight: 3 },
  { arbitrary: deceiving, weight: 3 },
  fc.tuple(literal, blank).map(([value, between]) => `do${between}${value}`),
  literal.map((value) => `values (${value})`),
  literal.map((value) => `prepare plan as select ${value}`),
  literal.map(
    (value) => `create or replace rule r as on insert to t do also (select ${value}; select 1)`,
  ),
  fc.tuple(label, literal).map(([name, value]) => `with x as (select ${value} ${name}) select 1`),
)
