import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'

const app = useApp({ pool: { max: 1 } })
const boom = new Error('boom')

describe('a connection of Kysely on a pool of one', { timeout: 2000 }, () => {
  test('has its transactions on itself', async () => {
    await app.db.connection().execute(async (connection) => {
      await sql`create temporary table here (n int)`.execute(connection)
      await connection.transaction().execute(async (trx) => {
        await sql`insert into here values (1)`.execute(trx)
        await trx.insertInto('note').values({ text: 'a' }).execute()
        // plain objects stand in the transaction too
        await app.orm.insert(notes).values({ text: 'b' })
      })
      await sql`drop table here`.execute(connection)
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'create',
      'begin',
      'insert',
      'insert a',
      'insert b',
      'commit',
      'drop',
    ])
  })

  test('goes on after a transaction of its own that failed', async () => {
    await app.db.connection().execute(async (connection) => {
      const failing = connection.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'a' }).execute()
        throw boom
      })
      await expect(failing).rejects.toBe(boom)
      await connection.insertInto('note').values({ text: 'b' }).execute()
    })
    expect(await app.rows()).toEqual(['b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback', 'insert b'])
  })

  test('has controlled transactions on itself', async () => {
    await app.db.connection().execute(async (connection) => {
      const trx = await connection.startTransaction().execute()
      await trx.insertInto('note').values({ text: 'a' }).execute()
      await trx.commit().execute()
      await connection.insertInto('note').values({ text: 'b' }).execute()
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert b'])
  })
})
