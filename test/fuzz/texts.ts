import * as fc from 'fast-check'
import { noBlank } from './blanks.ts'
import { control } from './controls.ts'
import { ordinary } from './ordinary.ts'

const command = fc.oneof({ arbitrary: control, weight: 3 }, { arbitrary: ordinary, weight: 4 })

const one = fc
  .tuple(
    fc.constantFrom('', '', ' ', '/* ; */', ';', '-- ;\n;;'),
    command,
    fc.constantFrom('', '', ';', ' ; -- end', '\n;\n', ';;', '/* ; */'),
  )
  .map((parts) => parts.join(''))

const several = fc
  .tuple(
    noBlank,
    fc.array(
      fc.tuple(command, noBlank, noBlank).map(([text, ...blanks]) => text + blanks.join(';')),
      { maxLength: 4 },
    ),
    fc.constantFrom('', '', ';', ';;'),
  )
  .map(([before, commands, end]) => before + commands.join('') + end)

/** Characters that PostgreSQL treats differently from similar ones. */
const characters = ';\'"$-/*\\(),.&\neEbk1\u212aſ'.split('')

/** A text with one character inserted, removed or replaced. */
function mutated(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.constantFrom('add', 'drop', 'replace')
  return fc
    .tuple(texts, fc.nat(), change, fc.constantFrom(...characters))
    .map(([text, at, how, character]) => {
      const here = at % Math.max(text.length, 1)
      const behind = how === 'add' ? here : here + 1
      return text.slice(0, here) + (how === 'drop' ? '' : character) + text.slice(behind)
    })
}

/** Any text. */
export const text: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: one, weight: 3 },
  { arbitrary: several, weight: 4 },
  { arbitrary: mutated(one), weight: 2 },
  { arbitrary: mutated(several), weight: 2 },
)
