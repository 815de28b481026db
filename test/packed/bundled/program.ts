// Asks for the place where a transaction began, through each way to begin one, and prints it.

import { AsyncResource } from 'node:async_hooks'
import { pgTable, serial, text } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import 'shared-connection/register'

const notes = pgTable('note', { id: serial().primaryKey(), body: text() })
const pool = new Pool({ connectionString: process.env.DATABASE_URL })
const orm = drizzle({ client: pool })
const db = new Kysely<{ note: { body: string } }>({
  dialect: new PostgresDialect({ pool }),
}).extension('shared-connection', { drizzle: orm })

async function main(): Promise<void> {
  await pool.query('create table note (id serial primary key, body text)')
  await orm.transaction(async (tx) => {
    await tx.insert(notes).values({ body: 'kept' })
    await db.insertInto('note').values({ body: 'kept' }).execute()
  })
  const undone = orm.transaction(async (tx) => {
    await tx.insert(notes).values({ body: 'undone' })
    await db.insertInto('note').values({ body: 'undone' }).execute()
    throw new Error('undone')
  })
  await undone.catch(() => undefined)

  const places = {
    kysely: await place((leave) =>
      db.transaction().execute(async () => {
        leave(AsyncResource.bind(() => db.selectFrom('note').selectAll().execute()))
      }),
    ),
    drizzle: await place((leave) =>
      orm.transaction(async (tx) => leave(() => tx.select().from(notes))),
    ),
    shared: await place((leave) =>
      db.shared.transaction(({ tx }) => leave(() => tx.select().from(notes))),
    ),
  }
  const { rows } = await pool.query('select body from note order by id')
  console.log(JSON.stringify({ places, bodies: rows.map(({ body }) => body) }))
  await pool.end()
}

type Leave = (late: () => PromiseLike<unknown>) => void

/** What the error of a statement that comes after the end says of it. */
async function place(begin: (leave: Leave) => Promise<unknown>) {
  let late: (() => PromiseLike<unknown>) | undefined
  await begin((statement) => {
    late = statement
  })
  const error = await Promise.resolve(late?.()).then(
    () => undefined,
    (thrown) => thrown,
  )
  const message: string = error?.cause?.message ?? error?.message ?? ''
  const began = message.slice(message.indexOf('It began'))
  return { message, began: began.split('\n').slice(1) }
}

void main()
