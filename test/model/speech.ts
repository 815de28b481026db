import { sql as drizzleSql } from 'drizzle-orm'
import { type Kysely, sql as kyselySql } from 'kysely'
import { type App, notes, type Schema } from '../setup/app.ts'
import type { Hand, Opener, Way } from './program.ts'
import type { Held } from './place.ts'
import type { RecordedFrame } from './record.ts'

type Tx = Parameters<Parameters<App['orm']['transaction']>[0]>[0]

/** A handle of a block: of Drizzle or of Kysely. */
export interface Handle extends Held<RecordedFrame> {
  readonly object: object
}

/** Drizzle's own handle, or its handle for one of Kysely. */
const txOf = (app: App, { object }: Handle): Tx => app.shared.drizzleFor(object)
/** Kysely's own handle, or its handle for one of Drizzle. */
const trxOf = (app: App, { object }: Handle) => app.shared.kyselyFor<Schema>(object)

/** The ways to write, each through the API of its layer. */
interface Speaker {
  note(text: string): PromiseLike<unknown>
  raw(text: string): PromiseLike<unknown>
}

const inDrizzle = (orm: Pick<Tx, 'insert' | 'execute'>): Speaker => ({
  note: (text) => orm.insert(notes).values({ text }),
  raw: (text) => orm.execute(drizzleSql.raw(text)),
})

const inKysely = (db: Kysely<Schema>): Speaker => ({
  note: (text) => db.insertInto('note').values({ text }).execute(),
  raw: (text) => kyselySql.raw(text).execute(db),
})

const inPg = (client: Pick<App['pool'], 'query'>): Speaker => ({
  note: (text) => client.query('insert into note (text) values ($1)', [text]),
  raw: (text) => client.query(text),
})

async function speak(
  app: App,
  via: Way,
  handle: Handle | undefined,
  say: (speaker: Speaker) => PromiseLike<unknown>,
): Promise<void> {
  switch (via) {
    case 'drizzle':
      await say(inDrizzle(app.orm))
      return
    case 'kysely':
      await say(inKysely(app.db))
      return
    case 'pool':
      await say(inPg(app.pool))
      return
    case 'client': {
      const client = await app.pool.connect()
      try {
        await say(inPg(client))
      } finally {
        client.release()
      }
      return
    }
    case 'connection':
      await app.db
        .connection()
        .execute(async (one) => say(inKysely(one as unknown as Kysely<Schema>)))
      return
    case 'tx':
      await say(inDrizzle(handle === undefined ? app.orm : txOf(app, handle)))
      return
    case 'trx':
      await say(inKysely(handle === undefined ? app.db : trxOf(app, handle)))
      return
  }
}

/** Writes a note. */
export function sendNote(
  app: App,
  via: Way,
  handle: Handle | undefined,
  text: string,
): Promise<void> {
  return speak(app, via, handle, (speaker) => speaker.note(text))
}

/** Sends a statement that fails. */
export function sendFailure(app: App, via: Way, handle: Handle | undefined): Promise<void> {
  return speak(app, via, handle, (speaker) => speaker.raw('select 1 / 0'))
}

/** Sends a manual control command. */
export function sendByHand(app: App, via: Hand, text: string): Promise<void> {
  return speak(app, via, undefined, (speaker) => speaker.raw(text))
}

/** Opens a block. Its body gets its handle, if there is one. */
export function open(
  app: App,
  opener: Opener,
  handle: Handle | undefined,
  body: (given: { object: object }) => Promise<unknown>,
): Promise<unknown> {
  switch (opener) {
    case 'drizzle':
      return app.orm.transaction((tx) => body({ object: tx }))
    case 'kysely':
      return app.db.transaction().execute((trx) => body({ object: trx }))
    case 'tx':
      if (handle === undefined) return app.orm.transaction((tx) => body({ object: tx }))
      return txOf(app, handle).transaction((tx) => body({ object: tx }))
    case 'trx':
      if (handle === undefined) {
        return app.db.transaction().execute((trx) => body({ object: trx }))
      }
      return trxOf(app, handle)
        .transaction()
        .execute((trx) => body({ object: trx }))
    case 'outside':
      return app.shared.outside(() => body({ object: app.orm }))
    case 'nested':
    case 'required':
      return app.shared.transaction(({ tx }) => body({ object: tx }), { propagation: opener })
    case 'requires-new':
    case 'mandatory':
      return app.shared.transaction(({ trx }) => body({ object: trx }), { propagation: opener })
    default:
      return app.shared.transaction(({ trx }) => body({ object: trx }), { propagation: opener })
  }
}
