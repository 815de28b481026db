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

// pg_stat_activity would join the names of databases and users to each session.
const OPEN = `from pg_stat_get_activity(null)
  where datid = (select oid from pg_database where datname = current_database())
    and state like 'idle in transaction%'`

// One round trip. A row that an open transaction has locked would hold DELETE up.
const EMPTY_UNLESS_OPEN = `
  select query ${OPEN};
  delete from reply where not exists (select ${OPEN});
  delete from note where not exists (select ${OPEN});
  select setval('reply_id_seq', 1, false), setval('note_id_seq', 1, false)`

/**
 * Makes the tables as they were before the test. Closes the transactions that it has left open, so
 * that those after it can go on, and returns their last statements.
 */
async function emptyTables(observer: Pool): Promise<unknown[]> {
  // pg returns an array for several statements, which its types do not know.
  const [open] = (await observer.query(EMPTY_UNLESS_OPEN)) as unknown as [QueryResult]
  if (open.rows.length === 0) return []
  // a connection may be just closing
  await new Promise((resolve) => setTimeout(resolve, 200))
  const { rows } = await observer.query(`select query, pg_terminate_backend(pid) ${OPEN}`)
  await observer.query(EMPTY_TABLES)
  return rows
}

/** Starts an application on a database, where one for a whole test file does not do. */
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
