import * as fc from 'fast-check'

/** The contents of literals: texts that end, open or hide something elsewhere. */
export const content = fc
  .array(
    fc.oneof(
      fc.constantFrom(';', '; commit', '; rollback; ', 'begin', ' end ', 'atomic', ' ', 'é', '\n'),
      fc.constantFrom('--', '/*', '*/', '$', '$$', '$a$', '(', ')'),
      fc.constantFrom("'", '"', '\\', "\\'", '\\\\', "''", '""', "'\n'"),
    ),
    { maxLength: 4 },
  )
  .map((parts) => parts.join(''))

/** Quotes a text. */
export function quoted(mark: string): (text: string) => string {
  return (text) => `${mark}${text.replaceAll(mark, mark + mark)}${mark}`
}

const string = quoted("'")
const doubled = (text: string): string => text.replaceAll('\\', '\\\\')
const escaped = (text: string): string => doubled(text).replaceAll("'", "\\'")

/** A string may be continued on a later line. */
const inTwoParts = fc.tuple(
  content,
  fc.constantFrom('\n', ' \n ', '\r', '-- x\n', '\n--\n'),
  content,
)

const strings = fc.oneof(
  content.map(string),
  content.map((text) => `e'${escaped(text)}'`),
  content.map((text) => `E${string(doubled(text))}`),
  content.map((text) => `u&${string(doubled(text))}`),
  content.map((text) => `n${string(text)}`),
  content.map((text) => `text${string(text)}`),
  inTwoParts.map(([one, line, two]) => string(one) + line + string(two)),
  inTwoParts.map(([one, line, two]) => `e'${escaped(one)}'${line}'${escaped(two)}'`),
)

const dollarStrings = fc
  .tuple(fc.constantFrom('$$', '$a$', '$é_1$'), content)
  .map(([tag, text]) => tag + text.replaceAll('$', '') + tag)

/** A value in any notation. */
export const literal = fc.oneof(
  { arbitrary: strings, weight: 6 },
  { arbitrary: dollarStrings, weight: 3 },
  fc.constantFrom('1', '1.5e3', '2 - -1', '2*/*;*/3', "b'01'", "x'1f'", "'1'::int", 'array[1,2]'),
  fc.constantFrom(
    '(select 1)',
    'case when true then 1 end',
    '($$;$$)',
    '2 operator(pg_catalog.+) 3',
  ),
)

/** A name in a place where only the name of a column is valid. */
export const label = fc.oneof(
  content.filter((text) => text !== '').map(quoted('"')),
  fc.constantFrom(
    'commit_log',
    'begins',
    'a$b',
    'a$$',
    'é',
    'e',
    'u',
    'atomic',
    'begin',
    '"begin"',
  ),
  fc.constantFrom('as begin', 'as end', 'as case', 'as atomic', 'as "end"', 'as commit'),
)
