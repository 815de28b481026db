import { inject } from 'vitest'
import { newest } from '../combinations.ts'
import { type App, type AppOptions, notes } from './app.ts'

/** One way to open a block and to write in it: a layer, through its global object. */
export interface Speaker {
  readonly name: 'drizzle' | 'kysely' | 'shared'
  /** Runs `fn` in a transaction, or in a savepoint where one is open. */
  block<T>(app: App, fn: () => Promise<T>): Promise<T>
  /** Writes a note with the layer's own global object. */
  note(app: App, text: string): Promise<unknown>
}

export const drizzleSpeaker: Speaker = {
  name: 'drizzle',
  block: (app, fn) => app.orm.transaction(() => fn()),
  note: (app, text) => app.orm.insert(notes).values({ text }),
}

export const kyselySpeaker: Speaker = {
  name: 'kysely',
  block: (app, fn) => app.db.transaction().execute(() => fn()),
  note: (app, text) => app.db.insertInto('note').values({ text }).execute(),
}

const sharedSpeaker: Speaker = {
  name: 'shared',
  block: (app, fn) => app.shared.transaction(() => fn()),
  note: (app, text) => app.pool.query('insert into note (text) values ($1)', [text]),
}

export const speakers = [drizzleSpeaker, kyselySpeaker, sharedSpeaker] as const

/** Where code can stand. */
export interface Place {
  readonly name: string
  run(app: App, fn: () => Promise<void>): Promise<void>
}

/** In a transaction of each layer, and outside. */
export const places: readonly Place[] = [
  ...speakers.map((speaker) => ({
    name: `in a transaction of ${speaker.name}`,
    run: (app: App, fn: () => Promise<void>) => speaker.block(app, fn),
  })),
  { name: 'outside', run: (_, fn) => fn() },
]

/** Who is outside, and who is inside. */
export interface World {
  readonly name: string
  readonly outer: Speaker
  readonly inner: Speaker
}

/** Every ordered pair of layers, each in itself too. */
export const worlds: readonly World[] = speakers.flatMap((outer) =>
  speakers.map((inner) => ({ name: `${outer.name} ⊃ ${inner.name}`, outer, inner })),
)

/** One way to run an application. */
export interface Manner {
  readonly name: string
  readonly options: AppOptions
}

/**
 * The manners to test in this project: all on the newest versions of the libraries, and on others the
 * first alone, which is the usual one. How statements are sent does not depend on the versions.
 */
export function mannersHere<M>(all: readonly M[]): readonly M[] {
  return inject('combination').name === newest.name ? all : all.slice(0, 1)
}

/** What must not change anything but the round trips: every behaviour holds in each of these. */
export const manners: readonly Manner[] = mannersHere([
  { name: 'lazy', options: {} },
  { name: 'not lazy', options: { shared: { lazy: false } } },
  { name: 'pipeline', options: { pool: { pipeline: true } } },
  { name: 'unheard', options: { unheard: true } },
])

/** The lines of a transcript. Those in parentheses are only sent where nothing is held back. */
export function sentIn({ options }: Manner, lines: readonly string[]): string[] {
  const isLazy = options.shared?.lazy ?? true
  return lines.flatMap((line) => {
    if (!line.startsWith('(')) return [line]
    return isLazy ? [] : [line.slice(1, -1)]
  })
}

const mixed = worlds.filter(({ name }) =>
  ['drizzle ⊃ kysely', 'kysely ⊃ drizzle', 'shared ⊃ kysely'].includes(name),
)

/** The worlds for one manner: all in the usual one, and where layers mix in the others. */
export function worldsIn({ name }: Manner): readonly World[] {
  return name === 'lazy' ? worlds : mixed
}
