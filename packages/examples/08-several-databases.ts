// Each database has its own bridge. Their transactions can be open at the same time, and each statement
// runs in that of its database. No transaction spans both: each commits by itself.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { shareConnection } from 'shared-connection'
import { db, orm, shared } from './database.ts'
import { cleanUp, committed, prepare } from './observer.ts'
import { accounts, audit, type Database } from './schema.ts'

await prepare()

// The second database, on the same server.
const name = `shared_connection_archive_${randomBytes(4).toString('hex')}`
await orm.execute(sql.raw(`create database ${name}`))
const url = new URL(process.env.DATABASE_URL!)
url.pathname = name

const archiveOrm = drizzle(url.href)
// This needs no dialect, since the bridge makes the Kysely database. The name labels it in logs and errors.
const archive = shareConnection(archiveOrm, { name: 'archive' })
const archiveDb = archive.kysely<Database>()
await prepare(archiveOrm.$client)

// Two transactions are open, one in the block of the other. Each object uses its own database.
await orm.transaction(async () => {
  await orm.insert(accounts).values({ email: 'ada@example.com' })

  await archiveDb.transaction().execute(async () => {
    await archiveOrm.insert(audit).values({ entry: 'in the archive' })
    await db.insertInto('audit').values({ entry: 'in the shop' }).execute()
    await archiveDb.insertInto('audit').values({ entry: 'in the archive too' }).execute()

    // Both are transactions, not savepoints.
    assert.equal(shared.current?.holder, 'drizzle')
    assert.equal(archive.current?.holder, 'kysely')
    assert.equal(archive.current.depth, 1)
    assert.notEqual(archive.current.id, shared.current.id)
  })
})
assert.deepEqual(await committed('select entry from audit'), ['in the shop'])
assert.deepEqual(await archiveDb.selectFrom('audit').select('entry').orderBy('id').execute(), [
  { entry: 'in the archive' },
  { entry: 'in the archive too' },
])

// The inner transaction has committed by itself, so the failure of the outer one does not undo it.
const failed = new Error('no')
const attempt = orm.transaction(async () => {
  await orm.insert(audit).values({ entry: 'taken back' })
  await archive.transaction(() => archiveOrm.insert(audit).values({ entry: 'kept' }))
  throw failed
})
await assert.rejects(attempt, failed)
assert.deepEqual(await committed('select entry from audit'), ['in the shop'])
assert.equal(await archiveOrm.$count(audit), 3)

await archiveOrm.$client.end()
// PostgreSQL waits for the clients that are still closing.
await orm.execute(sql.raw(`drop database ${name}`))
await cleanUp(orm.$client)
