// The database of the application, once for each layer. All other files import it from here.

import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import 'shared-connection/register'
import type { Database } from './schema.ts'

export const orm = drizzle(process.env.DATABASE_URL!)

export const db = new Kysely<Database>({
  dialect: new PostgresDialect({ pool: orm.$client }),
}).extension('shared-connection', { drizzle: orm })

/** The members that belong to neither layer. */
export const shared = db.shared
