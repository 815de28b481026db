// The application of the demo: Drizzle stores its accounts, and Kysely the profiles of the accounts.

import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { type SharedConnection, shareConnection, type SharedKysely } from 'shared-connection'
import { accounts, createTables, type Database } from '../schema.ts'
import { statement } from './stage.ts'

const openOrm = (url: string) => drizzle({ client: openPool(url) })
export type Orm = ReturnType<typeof openOrm>

/** The application on the bridge. */
export interface Shop {
  readonly orm: Orm
  readonly db: SharedKysely<Database, Orm>
  readonly shared: SharedConnection<Orm>
  readonly observer: Observer
}

export function openShop(url: string, observer: Observer): Shop {
  const orm = openOrm(url)
  const shared = shareConnection(orm)
  return { orm, db: shared.kysely<Database>(), shared, observer }
}

/** The same application without the bridge: two pools, and two logs. */
export function openTwoPools(url: string) {
  const orm = drizzle({
    client: openPool(url),
    logger: { logQuery: (sql) => statement({ layer: 'drizzle', sql }) },
  })
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool: openPool(url) }),
    log(event) {
      const failure = event.level === 'error' ? (event.error as { code?: string }) : undefined
      statement({
        layer: 'kysely',
        sql: event.query.sql,
        duration: event.queryDurationMillis,
        sqlstate: failure?.code,
      })
    },
  })
  return { orm, db }
}

/** The work of the application. It is the same with and without the bridge. */
export async function signUp(orm: Orm, db: Kysely<Database>, email: string): Promise<void> {
  await orm.transaction(async (tx) => {
    const [account] = await tx.insert(accounts).values({ email }).returning()
    await db.insertInto('profiles').values({ account_id: account!.id }).execute()
  })
}

/** An observer with a separate connection: it sees committed rows and open connections. */
export class Observer {
  readonly #pool: Pool

  constructor(url: string) {
    this.#pool = openPool(url, 'observer')
  }

  async prepare(): Promise<string> {
    await this.#pool.query(createTables)
    return String((await this.column('show server_version'))[0])
  }

  /** Returns the first column of the rows of a query. */
  async column(sql: string): Promise<unknown[]> {
    const { rows } = await this.#pool.query<unknown[]>({ text: sql, rowMode: 'array' })
    return rows.map(([value]) => value)
  }

  emails(): Promise<unknown[]> {
    return this.column('select email from accounts order by id')
  }

  entries(): Promise<unknown[]> {
    return this.column('select entry from audit order by id')
  }

  /** Returns the server's view of each connection of the application. */
  async connections(): Promise<readonly { pid: number; state: string }[]> {
    const { rows } = await this.#pool.query<{ pid: number; state: string }>(
      `select pid, state from pg_stat_activity
       where datname = current_database() and application_name = 'shop'`,
    )
    return rows
  }

  end(): Promise<void> {
    return this.#pool.end()
  }
}

function openPool(url: string, application_name = 'shop'): Pool {
  const pool = new Pool({ connectionString: url, application_name, max: 3 })
  // When the demo is interrupted, its database is dropped, which ends the connections.
  return pool.on('error', () => {})
}
