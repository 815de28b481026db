import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool, type PoolConfig, type QueryResult } from 'pg'
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
import { EMPTY_TABLES, type Schema } from './schema.ts'
import { tap } from './tap.ts'
import { listen, type Transcript } from './transcript.ts'

export { notes, replies, type Schema } from './schema.ts'

const makeDrizzle = (pool: Pool) => drizzle({ client: pool })
type Orm = ReturnType<typeof makeDrizzle>

/** An application on both layers, with its own database. */
export interface App {
  readonly url: string
  readonly pool: Pool
  readonly orm: Orm
  readonly db: SharedKysely<Schema, Orm>
  readonly shared: SharedConnection<Orm>
  /** A separate connection, which sees committed rows only. */
  readonly observer: Pool
  readonly transcript: Transcript
  /** The texts of the committed notes, in the order of their insertion. */
  rows(): Promise<string[]>
}

export interface AppOptions {
  readonly pool?: PoolConfig
  readonly shared?: SharedConnectionOptions
  /** Without subscribers, so that the transcript is taken at the clients. */
  readonly unheard?: boolean
  /** A proxy between the application and the server. */
  readonly through?: Passage
}

/** A proxy to the server. */
export interface Passage {
  /** Opens the proxy. Returns the URL of the server of `url` through it. */
  open(url: string): Promise<string>
  close(): Promise<void>
}

/**
 * Makes an application for the calling test file. After each test, no client may be in use, no
 * transaction may be open, and the server may not have warned.
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
    const open = await emptyTables(observer)
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

/** The clients of a pool that are in use, after those that are about to be released: that takes a packet. */
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

// pg_stat_activity joins databases and users, which costs time.
const OPEN = `from pg_stat_get_activity(null)
  where datid = (select oid from pg_database where datname = current_database())
    and state like 'idle in transaction%'`

// This is one round trip. DELETE would wait for rows that an open transaction has locked.
const EMPTY_UNLESS_OPEN = `
  select query ${OPEN};
  delete from reply where not exists (select ${OPEN});
  delete from note where not exists (select ${OPEN});
  select setval('reply_id_seq', 1, false), setval('note_id_seq', 1, false)`

/**
 * Restores the tables. Closes transactions that the test has left open, so that later tests can go on,
 * and returns their last statements.
 */
async function emptyTables(observer: Pool): Promise<unknown[]> {
  // pg returns an array for several statements, but its types do not say so.
  const [open] = (await observer.query(EMPTY_UNLESS_OPEN)) as unknown as [QueryResult]
  if (open.rows.length === 0) return []
  // A connection may be about to close.
  await new Promise((resolve) => setTimeout(resolve, 200))
  const { rows } = await observer.query(`select query, pg_terminate_backend(pid) ${OPEN}`)
  await observer.query(EMPTY_TABLES)
  return rows
}

/** Starts an application on a database, for tests that cannot use the one of the test file. */
export async function startApp(database: Database, options: AppOptions = {}): Promise<App> {
  const { urlForApps } = database
  const url = (await options.through?.open(urlForApps)) ?? urlForApps
  const pool = new Pool({ connectionString: url, max: 5, ...options.pool })
  const observer = new Pool({ connectionString: database.url, max: 2 })
  const orm = makeDrizzle(pool)
  const manner = inject('defers') === false ? { lazy: false } : {}
  const shared = shareConnection(orm, { ...manner, ...options.shared })
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
