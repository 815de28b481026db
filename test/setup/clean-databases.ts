import { setTimeout } from 'node:timers/promises'
import { Client } from 'pg'
import { type FreshDatabase, freshDatabase } from '../postgres/index.ts'
import { CREATE_TABLES, EMPTY_TABLES } from './schema.ts'

/** A database with the empty tables of the application. */
export interface CleanDatabase extends FreshDatabase {
  /** The state of its catalogue after its creation. */
  readonly made: Catalogue
}

/** If two of these are equal, nothing was created, altered or dropped between them. */
interface Catalogue {
  /** The number of rows that were written to the system catalogues of this database so far. */
  readonly writes: number
  /** Changes with ALTER DATABASE. */
  readonly version: string
  /** The number of settings made for this database. */
  readonly settings: number
}

// PostgreSQL counts the writes of a session, also those that are rolled back, and adds them up when the
// session ends. pg_statistic is left out, since autovacuum writes to it.
const CATALOGUE = `
  select
    (select sum(pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid) +
        pg_stat_get_tuples_deleted(oid))::int
      from pg_class
      where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' and not relisshared
        and relname not in ('pg_statistic', 'pg_statistic_ext_data')) as writes,
    xmin::text as version,
    (select count(*)::int from pg_db_role_setting where setdatabase = pg_database.oid) as settings
  from pg_database where datname = current_database()`

// These can outlive the code of a test and hold locks.
const LEFT = `
  select pid::text from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
      and pid <> pg_backend_pid()
  union all
  select gid from pg_prepared_xacts where database = current_database()`

/** The databases that earlier test files of this worker have used. */
const free: CleanDatabase[] = []

/** Takes a clean database, which an earlier test file of this worker may have used. */
export async function takeDatabase(serverUrl: string, prefix: string): Promise<CleanDatabase> {
  for (let used = free.shift(); used; used = free.shift()) {
    if (await clean(used)) return used
    await used.drop()
  }
  const database = await freshDatabase(serverUrl, prefix)
  await connected(database.url, (client) => client.query(CREATE_TABLES))
  return { ...database, made: await connected(database.url, catalogueOf) }
}

/** Returns a database. It is checked when the next file needs one. */
export function returnDatabase(database: CleanDatabase): void {
  free.push(database)
}

/** Empties the tables. Resolves with false if the database still differs from a new one. */
export function clean({ url, made }: CleanDatabase): Promise<boolean> {
  return connected(url, async (client) => {
    if (!(await isAlone(client))) return false
    const { writes, version, settings } = await catalogueOf(client)
    // Without `track_counts`, the server would hide every difference.
    const isAsMade =
      writes > 0 && writes === made.writes && version === made.version && settings === made.settings
    if (isAsMade) await client.query(EMPTY_TABLES)
    return isAsMade
  })
}

/** Whether the sessions of the test file have ended. Sessions that are closing get a second. */
async function isAlone(client: Client): Promise<boolean> {
  const deadline = Date.now() + 1_000
  do {
    if ((await client.query(LEFT)).rowCount === 0) return true
    await setTimeout(10)
  } while (Date.now() < deadline)
  return false
}

async function catalogueOf(client: Client): Promise<Catalogue> {
  const { rows } = await client.query<Catalogue>(CATALOGUE)
  return rows[0] as Catalogue
}

/** Runs `fn` in a new session. */
export async function connected<T>(url: string, fn: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await fn(client)
  } finally {
    await client.end()
  }
}
