import { sql as drizzleSql } from 'drizzle-orm'
import { sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { recorder } from '../setup/recorder.ts'
import { manners, worlds } from '../setup/worlds.ts'

const boom = new Error('boom')

describe.each(manners.filter(({ name }) => name !== 'unheard'))('$name', ({ options }) => {
  const wire = recorder()
  const pool = 'pool' in options ? options.pool : {}
  const app = useApp({ ...options, pool: { ...pool, max: 1, stream: () => wire.stream() } })

  beforeEach(async () => {
    await app.pool.query('select 1')
    app.transcript.clear()
    wire.clear()
  })

  /** The statements on the channel must be those in the bytes. */
  function expectTruth(): void {
    expect(app.transcript.events().map(({ sql: text }) => text)).toEqual(wire.statements())
  }

  test.each(worlds)('each statement is one event, in $name', async ({ outer, inner }) => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await inner.block(app, async () => {
        await inner.note(app, 'b')
        await outer.block(app, () => outer.note(app, 'c'))
      })
      await inner
        .block(app, async () => {
          await inner.note(app, 'd')
          throw boom
        })
        .catch(() => {})
      await outer.block(app, async () => {})
      await outer.note(app, 'e')
    })
    await inner.note(app, 'f')
    await inner.block(app, async () => {})
    expect(wire.statements()).toContain('rollback to savepoint sp1')
    expectTruth()
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'e', 'f'])
  })

  test.each(worlds)(
    'so is each that fails, and its rollback, in $name',
    async ({ outer, inner }) => {
      await outer
        .block(app, async () => {
          await outer.note(app, 'a')
          await inner.block(app, async () => {
            await inner.note(app, 'a')
          })
        })
        .catch(() => {})
      await inner
        .block(app, async () => {
          await app.pool.query('select 1 / 0').catch(() => {})
        })
        .catch(() => {})
      expect(wire.statements().filter((text) => text.includes('insert'))).toHaveLength(2)
      expectTruth()
      expect(await app.rows()).toEqual([])
    },
  )

  test('so is each statement that is issued together with others', async () => {
    await app.orm.transaction(async (tx) => {
      await Promise.all([
        tx.insert(notes).values({ text: 'a' }),
        app.db.insertInto('note').values({ text: 'b' }).execute(),
        tx.transaction((inner) => inner.insert(notes).values({ text: 'c' })),
        app.pool.query('insert into note (text) values ($1)', ['d']),
      ])
    })
    expect(wire.statements()).toHaveLength(app.transcript.events().length)
    expectTruth()
    expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('so is raw, named, empty, commented and multiple SQL', async () => {
    await app.orm.execute(drizzleSql`select 1`)
    await sql`select 2`.execute(app.db)
    await app.pool.query('select 3; select 4')
    await app.pool.query({ name: 'five', text: 'select $1::int', values: [5] })
    await app.pool.query({ name: 'five', text: 'select $1::int', values: [6] })
    await app.pool.query('/* nothing */')
    await app.orm.transaction(async () => {
      await app.pool.query({ name: 'five', text: 'select $1::int', values: [7] })
      await app.pool.query('select 8; select 9')
      await app.pool.query('-- a comment; in it\nselect 10')
      await app.pool.query('do $$ begin perform 11; end $$')
    })
    expect(wire.statements()).toContain('select 8; select 9')
    expectTruth()
  })

  test('so is each command of a controlled transaction', async () => {
    const trx = await app.db.startTransaction().execute()
    await trx.insertInto('note').values({ text: 'a' }).execute()
    const marked = await trx.savepoint('mark').execute()
    await marked.insertInto('note').values({ text: 'b' }).execute()
    await marked.rollbackToSavepoint('mark').execute()
    await marked.insertInto('note').values({ text: 'c' }).execute()
    await marked.releaseSavepoint('mark').execute()
    await trx.insertInto('note').values({ text: 'd' }).execute()
    await trx.commit().execute()
    expect(wire.statements()).toContain('rollback to savepoint "mark"')
    expectTruth()
    expect(await app.rows()).toEqual(['a', 'c', 'd'])
  })

  test('so is each statement that is sent manually on a client', async () => {
    const client = await app.pool.connect()
    try {
      await client.query('begin isolation level repeatable read')
      await client.query('insert into note (text) values ($1)', ['a'])
      await client.query('savepoint x')
      await client.query('insert into note (text) values ($1)', ['b'])
      await client.query('rollback to x')
      await client.query('commit')
    } finally {
      client.release()
    }
    expectTruth()
    expect(await app.rows()).toEqual(['a'])
  })
})
