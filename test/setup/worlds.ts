import { inject } from 'vitest'
import { newest } from '../combinations.ts'
import { type App, type AppOptions, notes } from './app.ts'

/** A way to open blocks and to write in them: a layer, through its global object. */
export interface Speaker {
  readonly name: 'drizzle' | 'kysely' | 'shared'
  /** Runs `fn` in a transaction, or in a savepoint if one is open. */
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

/** The places in which code can run. */
export interface Place {
  readonly name: string
  run(app: App, fn: () => Promise<void>): Promise<void>
}

/** A transaction of each layer, and outside. */
export const places: readonly Place[] = [
  ...speakers.map((speaker) => ({
    name: `in a transaction of ${speaker.name}`,
    run: (app: App, fn: () => Promise<void>) => speaker.block(app, fn),
  })),
  { name: 'outside', run: (_, fn) => fn() },
]

/** The layer outside, and the layer inside. */
export interface World {
  readonly name: string
  readonly outer: Speaker
  readonly inner: Speaker
}

/** Every ordered pair of layers, also those of one layer. */
export const worlds: readonly World[] = speakers.flatMap((outer) =>
  speakers.map((inner) => ({ name: `${outer.name} ⊃ ${inner.name}`, outer, inner })),
)

/** A way to run an application. */
export interface Manner {
  readonly name: string
  readonly options: AppOptions
}

/**
 * The manners to test in this project: all of them with the newest versions of the libraries, and only the
 * first, usual one with others. The manner of sending does not depend on the versions.
 */
export function mannersHere<M>(all: readonly M[]): readonly M[] {
  return inject('combination').name === newest.name ? all : all.slice(0, 1)
}

/** Settings that must change only the round trips: every behaviour holds with each of them. */
export const manners: readonly Manner[] = mannersHere([
  { name: 'lazy', options: {} },
  { name: 'not lazy', options: { shared: { lazy: false } } },
  { name: 'pipeline', options: { pool: { pipeline: true } } },
  { name: 'unheard', options: { unheard: true } },
])

/** The lines of a transcript. Those in parentheses are sent only if nothing is deferred. */
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

/** The worlds for one manner: all for the usual one, and the mixed ones for others. */
export function worldsIn({ name }: Manner): readonly World[] {
  return name === 'lazy' ? worlds : mixed
}
