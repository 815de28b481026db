import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core'
import type { Generated } from 'kysely'

export const notes = pgTable('note', {
  id: serial('id').primaryKey(),
  text: text('text').notNull(),
})

export const replies = pgTable('reply', {
  id: serial('id').primaryKey(),
  note_id: integer('note_id').notNull(),
  text: text('text').notNull(),
})

export interface Schema {
  note: { id: Generated<number>; text: string }
  reply: { id: Generated<number>; note_id: number; text: string }
}

export const CREATE_TABLES = `
  create table note (id serial primary key, text text not null unique);
  create table reply (
    id serial primary key,
    note_id int not null references note deferrable initially immediate,
    text text not null)`

// TRUNCATE would create new files for every test.
export const EMPTY_TABLES = `
  delete from reply;
  delete from note;
  select setval('reply_id_seq', 1, false), setval('note_id_seq', 1, false)`
