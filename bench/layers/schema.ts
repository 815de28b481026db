import type { Generated } from 'kysely'
import type { Client } from 'pg'
import type { Row } from './layer.ts'

/** The types of the tables for Kysely. */
export interface Tables {
  item: { id: number; text: string }
  note: { id: Generated<number>; text: string }
}

const ITEMS = 1_000

// Autovacuum must not run during a measurement.
const SCHEMA = `
  create table item (id int primary key, text text not null) with (autovacuum_enabled = off);
  insert into item select id, 'item ' || id from generate_series(1, ${ITEMS}) id;
  create table note (id serial primary key, text text not null) with (autovacuum_enabled = off);
  analyze item`

export async function createSchema(observer: Client): Promise<void> {
  await observer.query(SCHEMA)
}

/** The number of items that `list` returns. */
export const items: readonly Row[] = Array.from({ length: ITEMS }, (_, at) => ({
  id: at + 1,
  text: `item ${at + 1}`,
}))

export async function countNotes(observer: Client): Promise<number> {
  const { rows } = await observer.query<{ count: number }>('select count(*)::int from note')
  return rows[0]?.count ?? 0
}

export async function deleteNotes(observer: Client): Promise<void> {
  await observer.query('truncate note')
}
