import { Client } from 'pg'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import {
  clean,
  type CleanDatabase,
  connected,
  returnDatabase,
  takeDatabase,
} from './clean-databases.ts'

let database: CleanDatabase

beforeEach(async () => {
  database = await take()
})
afterEach(() => database.drop())

function take(): Promise<CleanDatabase> {
  return takeDatabase(inject('serverUrl'), inject('databasePrefix'))
}

function run(sql: string): Promise<unknown> {
  return connected(database.url, (client) => client.query(sql))
}

test('a database in which only rows were written is used again, without the rows', async () => {
  await run(
    `insert into note (text) values ('a'); insert into reply (note_id, text) values (1, 'b')`,
  )
  returnDatabase(database)
  const again = await take()
  expect(again.url).toBe(database.url)
  await connected(again.url, async (client) => {
    expect((await client.query('select from reply')).rowCount).toBe(0)
    const { rows } = await client.query(`insert into note (text) values ('a') returning id`)
    expect(rows).toEqual([{ id: 1 }])
  })
})

test('a database that is not clean is dropped, and another one takes its place', async () => {
  await run('create table extra (n int)')
  returnDatabase(database)
  const other = await take()
  const old = database
  database = other
  expect(other.url).not.toBe(old.url)
  await expect(connected(old.url, () => Promise.resolve())).rejects.toThrow('does not exist')
})

test.each([
  'create table extra (n int)',
  'create table extra (n int); drop table extra',
  'create temporary table extra (n int)',
  'begin; create table extra (n int); rollback',
  'create function extra() returns int language sql return 1',
  'alter table note alter column text type varchar',
  'alter table reply alter constraint reply_note_id_fkey initially deferred',
  'alter sequence note_id_seq increment 2',
  'truncate note cascade',
  'grant select on note to public',
  alterDatabase('set work_mem = 64'),
  alterDatabase('connection limit 50'),
])('a database is not clean after: %s', async (sql) => {
  await run(sql)
  expect(await clean(database)).toBe(false)
})

test('a database is not clean while a session of it is open', async () => {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  expect(await clean(database)).toBe(false)
  await client.end()
  expect(await clean(database)).toBe(true)
})

test('a database is not clean while a transaction of it is prepared', async () => {
  await run(`begin; insert into note (text) values ('a'); prepare transaction 'extra'`)
  expect(await clean(database)).toBe(false)
  await run(`rollback prepared 'extra'`)
  expect(await clean(database)).toBe(true)
})

function alterDatabase(change: string): string {
  return `do $$ begin execute 'alter database ' || current_database() || ' ${change}'; end $$`
}
