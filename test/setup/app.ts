import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core'
import { type Generated, Kysely, PostgresDialect } from 'kysely'
import { Pool, type PoolConfig } from 'pg'
import Cursor from 'pg-cursor'
import {
  CHANNELS,
  type NoticeEvent,
  type SharedConnection,
  type SharedConnectionOptions,
  type SharedKysely,
  shareConnection,
} from 'shared-connection'
import 'shared-connection/register'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject } from 'vitest'
import { type Database, useDatabase } from './database.ts'
import { tap } from './tap.ts'
import { listen, type Transcript } from './transcript.ts'

export const notes = pgTable('note', {
  id: serial('id').primaryKey(),
  text: text('text').notNull(),
})

export const replies = pgTable('reply', {
  id: serial('id').primaryKey(),
  note_id: integer('note_id').notNull(),
  text: text('text').notNull(),
})

export interface Schema {
  note: { id: Generated<number>; text: string }
  reply: { id: Generated<number>; note_id: number; text: string }
}

const makeDrizzle = (pool: Pool) => drizzle({ client: pool })
type Orm = ReturnType<typeof makeDrizzle>

// TRUNCATE would make new files for every test.
const EMPTY = `
  delete from reply;
  delete from note;
  select setval('reply_id_seq', 1, false), setval('note_id_seq', 1, false)`

/** An application on both layers, with a database to itself. */
export interface App {
  readonly url: string
  readonly pool: Pool
  readonly orm: Orm
  readonly db: SharedKysely<Schema, Orm>
  readonly shared: SharedConnection<Orm>
  /** A connection of its own, which sees what is committed. */
  readonly observer: Pool
  readonly transcript: Transcript
  /** The texts of the committed notes, in the order of their making. */
  rows(): Promise<string[]>
}

export interface AppOptions {
  readonly pool?: PoolConfig
  readonly shared?: SharedConnectionOptions
  /** Nobody subscribes to a channel: the transcript is taken at the clients. */
  readonly unheard?: boolean
  /** What stands between the application and the server. */
  readonly through?: Passage
}

/** Another way to the server. */
export interface Passage {
  /** Opens it. Gives the URL by which the server of `url` is reached through it. */
  open(url: string): Promise<string>
  close(): Promise<void>
}

/**
 * Gives the calling test file an application. After each test nothing may be left: no client in
 * use, no open transaction, no warning of the server.
 */
export function useApp(options: AppOptions = {}): App {
  const database = useDatabase()
  let app: App | undefined
  let warnings: string[] = []
  const onNotice = (notice: unknown): void => {
    const { severity, message } = notice as NoticeEvent
    if (severity === 'WARNING') warnings.push(message)
  }
  const onWarning = (warning: Error): void => {
    warnings.push(`${warning.name}: ${warning.message}`)
  }

  beforeAll(async () => {
    app = await startApp(database, options)
    if (!options.unheard) subscribe(CHANNELS.notice, onNotice)
    else app.pool.on('connect', (client) => client.on('notice', onNotice))
    process.on('warning', onWarning)
  })
  beforeEach(() => {
    warnings = []
    app?.transcript.clear()
  })
  afterEach(async () => {
    const { pool, observer } = app as App
    const left = await usageAtRest(pool)
    const open = await closeTransactions(observer)
    await observer.query(EMPTY)
    expect(warnings).toEqual([])
    expect(left, 'clients in use').toEqual({ inUse: 0, waiting: 0 })
    expect(open, 'open transactions').toEqual([])
  })
  afterAll(async () => {
    unsubscribe(CHANNELS.notice, onNotice)
    process.off('warning', onWarning)
    app?.transcript.stop()
    app?.shared.dispose()
    await app?.pool.end()
    await app?.observer.end()
    await options.through?.close()
  })

  return new Proxy({} as App, { get: (_, key) => Reflect.get(app as App, key) })
}

/** What is in use of a pool, once what is on its way back has come back: that is a packet away. */
async function usageAtRest(pool: Pool): Promise<{ inUse: number; waiting: number }> {
  const usage = () => ({
    inUse: pool.totalCount - pool.idleCount,
    waiting: pool.waitingCount,
  })
  const deadline = Date.now() + 500
  while (usage().inUse + usage().waiting > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return usage()
}

/** Closes what a test has left open, so that those after it can go on. Tells what that was. */
async function closeTransactions(observer: Pool): Promise<unknown[]> {
  const open = `from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'`
  const { rows } = await observer.query(`select 1 ${open}`)
  if (rows.length === 0) return []
  // a connection may be just closing
  await new Promise((resolve) => setTimeout(resolve, 200))
  return (await observer.query(`select query, pg_terminate_backend(pid) ${open}`)).rows
}

/** Starts an application on a database, where one for a whole test file does not do. */
export async function startApp(database: Database, options: AppOptions = {}): Promise<App> {
  const { urlForApps } = database
  const url = (await options.through?.open(urlForApps)) ?? urlForApps
  const pool = new Pool({ connectionString: url, max: 5, ...options.pool })
  const observer = new Pool({ connectionString: database.url, max: 2 })
  await observer.query(`
    create table note (id serial primary key, text text not null unique);
    create table reply (
      id serial primary key,
      note_id int not null references note deferrable initially immediate,
      text text not null)`)
  const orm = makeDrizzle(pool)
  const riding = inject('rides') === false ? { lazy: false } : {}
  const shared = shareConnection(orm, { ...riding, ...options.shared })
  const db = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: orm.$client, cursor: Cursor }),
  }).extension('shared-connection', { drizzle: orm })
  const transcript = options.unheard ? tap(pool) : listen()
  return {
    url,
    pool,
    orm,
    db,
    shared,
    observer,
    transcript,
    async rows() {
      const found = await observer.query<{ text: string }>('select text from note order by id')
      return found.rows.map((row) => row.text)
    },
  }
}
