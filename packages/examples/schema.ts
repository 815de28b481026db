// The tables of the examples. Drizzle describes them, and the types for Kysely are derived from that.

import type { Kyselify } from 'drizzle-orm/kysely'
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core'

export const accounts = pgTable('accounts', {
  id: serial().primaryKey(),
  email: text().notNull().unique(),
})

export const profiles = pgTable('profiles', {
  id: serial().primaryKey(),
  account_id: integer()
    .notNull()
    .references(() => accounts.id),
  name: text(),
})

export const audit = pgTable('audit', {
  id: serial().primaryKey(),
  entry: text().notNull(),
})

export interface Database {
  accounts: Kyselify<typeof accounts>
  profiles: Kyselify<typeof profiles>
  audit: Kyselify<typeof audit>
}

export const createTables = `
  create table accounts (id serial primary key, email text not null unique);
  create table profiles (
    id serial primary key,
    account_id integer not null references accounts,
    name text
  );
  create table audit (id serial primary key, entry text not null)`

export const dropTables = 'drop table profiles, accounts, audit'
