import { drizzle } from 'drizzle-orm/node-postgres'
import { boolean, integer, pgTable } from 'drizzle-orm/pg-core'
import { Kysely, PostgresDialect } from 'kysely'
import { Client, Pool, type PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import 'shared-connection/register'

export const works = pgTable('work', {
  id: integer('id').notNull(),
  part: integer('part').notNull(),
  slow: boolean('slow').notNull(),
})

interface Database {
  work: { id: number; part: number; slow: boolean }
}

const POOL_SIZE = 8

// COMMIT of slow transactions waits in a trigger, so that faults can hit it.
const SCHEMA = `
  create table work (id int, part int, slow boolean not null, primary key (id, part));
  create function nap() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.004); return null; end $$;
  create constraint trigger nap after insert on work deferrable initially deferred
    for each row when (new.slow and new.part = 0) execute function nap()`

export type Application = Awaited<ReturnType<typeof openApplication>>

/** An application on both layers, and a connection that no fault hits. `lazy` defers control commands. */
export async function openApplication(url: string, lazy: boolean) {
  const observer = new Client({ connectionString: url })
  await observer.connect()
  await observer.query(SCHEMA)

  const pool = new Pool({ connectionString: url, max: POOL_SIZE, application_name: 'soak' })
  const clients = new Set<PoolClient>()
  pool.on('connect', (client) => clients.add(client))
  pool.on('remove', (client) => clients.delete(client))
  // Every application has such a listener, for clients that die while they are idle.
  pool.on('error', () => {})

  const orm = drizzle({ client: pool })
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool, cursor: Cursor }),
  }).extension('shared-connection', { drizzle: orm, lazy })

  return {
    pool,
    orm,
    db,
    shared: db.shared,
    observer,
    /** The physical clients that are connected. */
    clients,
    async close() {
      db.shared.dispose()
      await pool.end()
      await observer.end()
    },
  }
}
