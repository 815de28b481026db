import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const source = fileURLToPath(new URL('../../packages/bridge/src/', import.meta.url))
const documented = /\*\/$/

/** An exported symbol: its name, and the lines of its file up to the end of its declaration. */
interface PublicSymbol {
  readonly name: string
  readonly file: string
  readonly lines: readonly string[]
  /** The index of the line on which the declaration begins. */
  readonly start: number
}

/** The symbols that `index.ts` exports, whatever file they are declared in. */
function publicSymbols(): PublicSymbol[] {
  const index = readFileSync(join(source, 'index.ts'), 'utf8')
  const exports = index.matchAll(/export (?:type )?\{([^}]*)\} from '\.\/([^']+)'/g)
  return [...exports].flatMap(([, names = '', file = '']) => {
    const lines = readFileSync(join(source, file), 'utf8').split('\n')
    return names
      .split(',')
      .map((name) => name.trim().replace(/^type | as .*$/g, ''))
      .filter((name) => name !== '')
      .map((name) => ({ name, file, lines, start: declarationOf(name, lines) }))
  })
}

function declarationOf(name: string, lines: readonly string[]): number {
  const declaration = new RegExp(
    `^export (?:abstract )?(?:class|interface|type|function|const) ${name}\\b`,
  )
  return lines.findIndex((line) => declaration.test(line))
}

/** Comments for the linter may stand between the comment and its declaration. */
function isDocumented({ lines, start }: PublicSymbol): boolean {
  const before = lines.slice(0, start).filter((line) => !line.startsWith('// eslint-'))
  return documented.test(before.at(-1) ?? '')
}

/** The members of an interface, a class or a constant object that no comment precedes. */
function undocumentedMembers({ name, lines, start }: PublicSymbol): string[] {
  if (!/[{]$/.test(lines[start] ?? '')) return []
  const end = lines.findIndex((line, at) => at > start && /^[})]/.test(line))
  return lines.slice(start, end).flatMap((line, at) => {
    const [, member] = MEMBER.exec(line) ?? []
    if (member === undefined || member === 'constructor') return []
    return documented.test(lines[start + at - 1] ?? '') ? [] : [`${name}.${member}`]
  })
}

/** Private fields and members that override documented ones are left out. */
const MEMBER = /^ {2}(?:readonly |abstract (?!override))*([a-zA-Z]\w*)\??(?:\(|<|:)/

const symbols = publicSymbols()

test('every export of the package is found', () => {
  expect(symbols.length).toBeGreaterThan(60)
  expect(symbols.filter(({ start }) => start === -1)).toEqual([])
})

test('every export of the package has a comment', () => {
  expect(symbols.filter((symbol) => !isDocumented(symbol)).map(({ name }) => name)).toEqual([])
})

// The types of the adapters repeat members of Kysely and Drizzle, which these libraries document.
test('every member of an export has a comment', () => {
  const own = symbols.filter(
    ({ file, lines, start }) =>
      !/^(kysely|drizzle)\//.test(file) && !/ (?:type|function) /.test(lines[start] ?? ''),
  )
  expect(own.length).toBeGreaterThan(40)
  expect(own.flatMap(undocumentedMembers)).toEqual([])
})

test('every method that is added to Kysely has a comment', () => {
  const lines = readFileSync(join(source, 'register.ts'), 'utf8').split('\n')
  const methods = lines.flatMap((line, at) => (/^ {4}[a-z]\w*</.test(line) ? [at] : []))
  expect(methods).toHaveLength(1)
  expect(methods.filter((at) => !documented.test(lines[at - 1] ?? ''))).toEqual([])
})
