import { setTimeout } from 'node:timers/promises'
import { Client } from 'pg'
import { type FreshDatabase, freshDatabase } from '../postgres/index.ts'
import { CREATE_TABLES, EMPTY_TABLES } from './schema.ts'

/** A database with the tables of the application, and nothing in them. */
export interface CleanDatabase extends FreshDatabase {
  /** The state of its catalogue when it was made. */
  readonly made: Catalogue
}

/** Two that are equal have nothing created, altered or dropped between them. */
interface Catalogue {
  /** The number of rows that were ever written to the system catalogues of this database. */
  readonly writes: number
  /** Changes with ALTER DATABASE. */
  readonly version: string
  /** The number of settings made for this database. */
  readonly settings: number
}

// PostgreSQL counts what a session writes, rolled back or not, and adds it up when the session ends.
// pg_statistic is left out because autovacuum writes there.
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

// What outlives the code of a test, and could hold locks.
const LEFT = `
  select pid::text from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
      and pid <> pg_backend_pid()
  union all
  select gid from pg_prepared_xacts where database = current_database()`

/** The databases that test files of this worker have had, and that none has at the moment. */
const free: CleanDatabase[] = []

/** Takes a clean database, which another test file of this worker may have had before. */
export async function takeDatabase(serverUrl: string, prefix: string): Promise<CleanDatabase> {
  for (let used = free.shift(); used; used = free.shift()) {
    if (await clean(used)) return used
    await used.drop()
  }
  const database = await freshDatabase(serverUrl, prefix)
  await connected(database.url, (client) => client.query(CREATE_TABLES))
  return { ...database, made: await connected(database.url, catalogueOf) }
}

/** Gives a database back. Whether it can be used again is found out when the next file wants one. */
export function returnDatabase(database: CleanDatabase): void {
  free.push(database)
}

/** Empties the tables. Resolves with false if that does not make the database as it was. */
export function clean({ url, made }: CleanDatabase): Promise<boolean> {
  return connected(url, async (client) => {
    if (!(await isAlone(client))) return false
    const { writes, version, settings } = await catalogueOf(client)
    // A server that counts nothing (`track_counts`) would hide every difference.
    const isAsMade =
      writes > 0 && writes === made.writes && version === made.version && settings === made.settings
    if (isAsMade) await client.query(EMPTY_TABLES)
    return isAsMade
  })
}

/** Whether the sessions of the test file have ended. Those that are just closing get a second. */
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

/** Runs `fn` in a session of its own. */
export async function connected<T>(url: string, fn: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await fn(client)
  } finally {
    await client.end()
  }
}
