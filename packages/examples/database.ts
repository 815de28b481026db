// What an application has in one file and imports everywhere else: its database, once for each layer.

import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import 'shared-connection/register'
import type { Database } from './schema.ts'

export const orm = drizzle(process.env.DATABASE_URL!)

export const db = new Kysely<Database>({
  dialect: new PostgresDialect({ pool: orm.$client }),
}).extension('shared-connection', { drizzle: orm })

/** What belongs to neither layer. */
export const shared = db.shared
