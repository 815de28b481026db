import * as fc from 'fast-check'

/** Text that PostgreSQL accepts as white space between two words. */
export const blank = fc.constantFrom(
  ' ',
  '  ',
  '\t',
  '\n',
  '\r\n',
  '\f',
  ' \v',
  '/**/',
  '/* commit; */',
  ' --\n',
  '-- ; end\n',
  '--\r',
  '/* a /* b; */ -- */',
  "/* ' */",
  '/* $$ */',
  "-- '\n",
  '-- /*\n',
  '/*/**/*/',
)

export const noBlank = fc.constantFrom('', '', '', ' ', '\n', '/* ; */', '-- ;\n')

/** The words, in any case, with white space between them. */
function words(text: string): fc.Arbitrary<string> {
  return joined(text.split(' ').map((word) => fc.mixedCase(fc.constant(word))))
}

export function joined(parts: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  const [first = fc.constant(''), ...others] = parts
  return others.reduce((before, part) => {
    return fc.tuple(before, blank, part).map((texts) => texts.join(''))
  }, first)
}

/** One of the spellings, with or without the optional parts in brackets. */
export function spelling(...texts: readonly string[]): fc.Arbitrary<string> {
  const spellings = texts.flatMap((text) => {
    const without = text.replace(/ ?\[.*\]/, '')
    return [without.trim(), text.replace(/[[\]]/g, '')]
  })
  return fc.constantFrom(...new Set(spellings)).chain(words)
}
