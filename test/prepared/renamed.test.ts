import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

describe('the name of a prepared statement', () => {
  const app = useApp({ pool: { max: 1 } })

  test('of more than 55 characters stays unique when it is changed', async () => {
    const long = 'n'.repeat(62)
    await app.orm.transaction(async (tx) => {
      await app.pool.query({ name: `${long}a`, text: 'select 1 as one' })
      await app.pool.query({ name: `${long}b`, text: 'select 2 as two' })
      const a = tx
        .select({ a: sql`10`.as('a') })
        .from(sql`(select 1) x`)
        .prepare(`${long}a`)
      const b = tx
        .select({ b: sql`20`.as('b'), c: sql`21`.as('c') })
        .from(sql`(select 1) x`)
        .prepare(`${long}b`)
      expect(await a.execute()).toEqual([{ a: 10 }])
      expect(await b.execute()).toEqual([{ b: 20, c: 21 }])
    })
  })

  test('is changed without touching the config object, even if that is frozen or has accessors', async () => {
    class Query {
      readonly #text = 'select $1::text as a'
      get name(): string {
        return 'taken'
      }
      get text(): string {
        return this.#text
      }
      get values(): string[] {
        return ['p']
      }
    }
    const frozen = Object.freeze({
      name: 'taken',
      text: 'select $1::text as a',
      values: ['v'],
      rowMode: 'array' as const,
    })
    await app.orm.transaction(async (tx) => {
      const own = tx
        .select({ a: sql`1`.as('a') })
        .from(sql`(select 1) x`)
        .prepare('taken')
      expect(await own.execute()).toEqual([{ a: 1 }])
      expect((await app.pool.query(frozen)).rows).toEqual([['v']])
      expect((await app.pool.query(new Query())).rows).toEqual([{ a: 'p' }])
    })
  })

  test('is prepared again outside a transaction if the statement was sent before BEGIN', async () => {
    await app.observer.query('create table changing (id serial primary key, t text)')
    const client = await app.pool.connect()
    const q = { name: 'changing', text: `insert into changing (t) values ('x') returning *` }
    await client.query(q)
    await app.observer.query('alter table changing add column u int')
    // not awaited: the order of the calls is the order on the wire
    const again = client.query(q)
    const begin = client.query('begin')
    await again
    await begin
    await client.query('rollback')
    client.release()
    const { rows } = await app.observer.query('select count(*)::int as n from changing')
    expect(rows).toEqual([{ n: 2 }])
  })

  test('stays usable after an error that came from inside the statement', async () => {
    await app.observer.query(`create function f(bad bool) returns int language plpgsql as $$
      begin if bad then execute 'execute nope'; end if; return 1; end $$`)
    const call = (bad: boolean) =>
      app.pool.query({ name: 'f', text: 'select f($1)', values: [bad] })
    await call(false)
    expect((await failureOf(call(true))).message).toBe('prepared statement "nope" does not exist')
    expect((await call(false)).rows).toEqual([{ f: 1 }])
  })

  test('is not prepared again if its procedure has already committed', async () => {
    await app.observer.query(`create table other_changing (a int);
      create procedure p() language plpgsql as $$
        begin insert into note (text) values ('once ' || random()); commit; execute 'execute other'; end $$`)
    await app.pool.query('prepare other as select * from other_changing')
    await app.observer.query('alter table other_changing add column b int')
    const failure = await failureOf(
      app.pool.query({ name: 'call', text: 'call p()' }) as Promise<unknown>,
    )
    expect(failure).toMatchObject({ code: '0A000' })
    expect((await app.rows()).length).toBe(1)
  })

  test('is forgotten after a DEALLOCATE ALL among several commands', async () => {
    const q = { name: 'many', text: 'select 1 as one' }
    await app.pool.query(q)
    await app.shared.transaction(async () => {
      await app.pool.query('deallocate all; select 1')
      expect((await app.pool.query(q)).rows).toEqual([{ one: 1 }])
    })
  })
})
