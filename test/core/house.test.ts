import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** The one list of the rooms. Imports point down it: a room may import from itself and from those below. */
const ROOMS: readonly (readonly string[])[] = [
  ['register.ts'],
  ['index.ts'],
  ['shared'],
  // The adapters do not know each other.
  ['kysely', 'drizzle'],
  ['adoption'],
  ['database'],
  ['checkout'],
  ['connection'],
  ['wire'],
  ['protocol'],
  ['instrumentation'],
  ['transaction'],
  ['settings.ts'],
  ['sql'],
  ['errors.ts'],
  ['core.ts', 'suppress.ts'],
  ['brand.ts', 'outcome.ts', 'object-slot.ts', 'version.ts', 'weak-list.ts', 'wording.ts'],
]

const MOST_FILES = 15

const source = fileURLToPath(new URL('../../packages/bridge/src/', import.meta.url))
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)
const importsOf = new Map(files.map((file) => [file, importedBy(file)]))

/** The files of the package that a file imports, types included. */
function importedBy(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8')
  const specifiers = text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g)
  return [...specifiers].map(([, specifier = '']) => join(dirname(file), specifier))
}

function roomOf(file: string): string {
  return file.split('/')[0] ?? file
}

function rankOf(file: string): number {
  return ROOMS.findIndex((rooms) => rooms.includes(roomOf(file)))
}

test('every file stands in a room of the list', () => {
  expect(files.length).toBeGreaterThan(50)
  expect(files.filter((file) => rankOf(file) === -1)).toEqual([])
})

test('every import names a file that exists', () => {
  const unknown = [...importsOf].flatMap(([file, imports]) =>
    imports.filter((imported) => !files.includes(imported)).map((it) => `${file} → ${it}`),
  )
  expect(unknown).toEqual([])
})

test('imports point down the list of rooms, those of types included', () => {
  const upward = [...importsOf].flatMap(([file, imports]) =>
    imports
      .filter((imported) => roomOf(imported) !== roomOf(file) && rankOf(imported) <= rankOf(file))
      .map((imported) => `${file} → ${imported}`),
  )
  expect(upward).toEqual([])
})

test('no files import each other in a circle, those of types included', () => {
  expect(circles()).toEqual([])
})

test(`no room has more than ${MOST_FILES} files`, () => {
  const counts = Map.groupBy(
    files.filter((file) => file.includes('/')),
    roomOf,
  )
  const full = [...counts].filter(([, inside]) => inside.length > MOST_FILES)
  expect(full.map(([room, inside]) => `${room}: ${inside.length}`)).toEqual([])
})

/** The circles that a walk through all imports closes, each as a path. */
function circles(): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const path: string[] = []
  const walk = (file: string): void => {
    const at = path.indexOf(file)
    if (at !== -1) found.push([...path.slice(at), file].join(' → '))
    if (at !== -1 || done.has(file)) return
    path.push(file)
    for (const imported of importsOf.get(file) ?? []) walk(imported)
    path.pop()
    done.add(file)
  }
  for (const file of files) walk(relative('', file))
  return found
}
