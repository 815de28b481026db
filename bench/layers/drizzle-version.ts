import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core'
import { eq as eq1 } from 'drizzle-orm-1'
import { drizzle as drizzle1 } from 'drizzle-orm-1/node-postgres'
import {
  integer as integer1,
  pgTable as pgTable1,
  serial as serial1,
  text as text1,
} from 'drizzle-orm-1/pg-core'
import type { Pool, PoolClient } from 'pg'

const version045 = {
  open: (client: Pool | PoolClient) => drizzle({ client }),
  eq,
  items: pgTable('item', { id: integer('id').primaryKey(), text: text('text').notNull() }),
  notes: pgTable('note', { id: serial('id').primaryKey(), text: text('text').notNull() }),
}

const version1 = {
  open: (client: Pool | PoolClient) => drizzle1({ client }),
  eq: eq1,
  items: pgTable1('item', { id: integer1('id').primaryKey(), text: text1('text').notNull() }),
  notes: pgTable1('note', { id: serial1('id').primaryKey(), text: text1('text').notNull() }),
}

/** The parts of a major version of Drizzle that the benchmark uses, with tables of that version. */
export type DrizzleVersion = typeof version045
export type Orm = ReturnType<DrizzleVersion['open']>

// The generics of the versions differ, but the calls here do not.
export const drizzleVersions = {
  '0.45': version045,
  '1.0': version1 as unknown as DrizzleVersion,
} as const
