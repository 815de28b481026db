import { sql as drizzleSql } from 'drizzle-orm'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { notes } from '../setup/app.ts'
import { type CachedApp, useCachedApp } from '../setup/cached-app.ts'
import { failureOf } from '../setup/failure.ts'

const app = useCachedApp()

/** A way to write the note w, and the tables that must be invalidated then. */
interface Write {
  readonly name: string
  readonly run: (app: CachedApp) => PromiseLike<unknown>
  readonly forgets: unknown
}

const everything = 'forget note,reply'
const raw = "insert into note (text) values ('w')"

const writes: readonly Write[] = [
  {
    name: 'an insert of Kysely',
    run: ({ db }) => db.insertInto('note').values({ text: 'w' }).execute(),
    forgets: 'forget note',
  },
  {
    name: 'an insert of Kysely that returns',
    run: ({ db }) => db.insertInto('note').values({ text: 'w' }).returningAll().execute(),
    forgets: 'forget note',
  },
  {
    name: 'an insert of Kysely with a schema',
    run: ({ db }) => db.withSchema('public').insertInto('note').values({ text: 'w' }).execute(),
    forgets: expect.stringContaining('note'),
  },
  {
    name: 'a writing common table expression of Kysely',
    run: ({ db }) =>
      db
        .with('written', (inner) => inner.insertInto('note').values({ text: 'w' }).returning('id'))
        .selectFrom('written')
        .selectAll()
        .execute(),
    forgets: 'forget note',
  },
  {
    name: 'an upsert of Kysely',
    run: ({ db }) =>
      db
        .insertInto('note')
        .values({ text: 'w' })
        .onConflict((conflict) => conflict.column('text').doNothing())
        .execute(),
    forgets: 'forget note',
  },
  {
    name: 'a merge of Kysely',
    run: ({ db }) =>
      db
        .mergeInto('note as n')
        .using(sql<{ w: string }>`(values ('w'))`.as<'s'>(sql`s(w)`), (join) =>
          join.on(sql<boolean>`n.text = s.w`),
        )
        .whenNotMatched()
        .thenInsertValues({ text: 'w' })
        .execute(),
    forgets: 'forget note',
  },
  {
    name: 'raw SQL of Kysely',
    run: ({ db }) => sql`insert into note (text) values (${'w'})`.execute(db),
    forgets: everything,
  },
  {
    name: 'an insert of Drizzle',
    run: ({ orm }) => orm.insert(notes).values({ text: 'w' }),
    forgets: 'forget note',
  },
  {
    name: 'raw SQL of Drizzle',
    run: ({ orm }) => orm.execute(drizzleSql`insert into note (text) values (${'w'})`),
    forgets: everything,
  },
  {
    name: 'raw SQL on the pool',
    run: ({ pool }) => pool.query('insert into note (text) values ($1)', ['w']),
    forgets: everything,
  },
  {
    name: 'a hand-written common table expression',
    run: ({ pool }) => pool.query(`with w as (${raw} returning *) select * from w`),
    forgets: everything,
  },
  {
    name: 'raw SQL behind a comment',
    run: ({ pool }) => pool.query(`/* select */ ${raw}`),
    forgets: everything,
  },
  {
    name: 'raw SQL behind a select',
    run: ({ pool }) => pool.query(`select 1; ${raw}`),
    forgets: everything,
  },
  {
    name: 'an explained insert that is run',
    run: ({ pool }) => pool.query(`explain analyze ${raw}`),
    forgets: everything,
  },
  {
    name: 'a block that writes',
    run: ({ pool }) => pool.query('do $$ begin ' + raw + '; end $$'),
    forgets: everything,
  },
  {
    name: 'raw SQL on a client',
    run: async ({ pool }) => {
      const client = await pool.connect()
      try {
        await client.query(raw)
      } finally {
        client.release()
      }
    },
    forgets: everything,
  },
]

describe.each(writes)('$name', ({ run, forgets }) => {
  test('outside a transaction is seen by the next cached read', async () => {
    await app.warm()
    await run(app)
    expect(app.cache.forgotten).toEqual([forgets])
    expect(await app.cached()).toEqual(['w'])
    expect(app.transcript.lines()).toHaveLength(2)
    expect(await app.rows()).toEqual(['w'])
  })

  test('in a transaction is seen after its commit', async () => {
    await app.warm()
    await app.orm.transaction(async () => {
      await run(app)
      expect(app.cache.forgotten).toEqual([])
    })
    expect(app.cache.forgotten).toEqual([forgets])
    expect(await app.cached()).toEqual(['w'])
    expect(app.transcript.lines()[0]).toBe('begin')
    expect(await app.rows()).toEqual(['w'])
  })

  test('in a transaction that rolls back is never seen', async () => {
    await app.warm()
    const boom = new Error('boom')
    await expect(
      app.db.transaction().execute(async () => {
        await run(app)
        expect(await app.cached()).toEqual(['w'])
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(await app.cached()).toEqual([])
    expect(app.transcript.lines()).toContain('rollback')
    expect(await app.rows()).toEqual([])
  })
})

describe('what changes rows that are there', () => {
  test.each([
    {
      name: 'an update of Kysely',
      run: () => app.db.updateTable('note').set({ text: 'b' }).execute(),
      left: ['b'],
    },
    {
      name: 'a delete of Kysely',
      run: () => app.db.deleteFrom('note').execute(),
      left: [],
    },
    {
      name: 'a hand-written truncate',
      run: () => app.pool.query('truncate note, reply'),
      left: [],
    },
    {
      name: 'an update of Drizzle',
      run: () => app.orm.update(notes).set({ text: 'b' }),
      left: ['b'],
    },
  ])('$name is seen by the next cached read', async ({ run, left }) => {
    await app.observer.query("insert into note (text) values ('a')")
    await app.warm()
    await run()
    expect(await app.cached()).toEqual(left)
    expect(app.transcript.lines()).toHaveLength(2)
    expect(await app.rows()).toEqual(left)
  })
})

describe('what only reads', () => {
  test.each([
    { name: 'a select of Kysely', run: () => app.db.selectFrom('note').selectAll().execute() },
    { name: 'a raw select of Kysely', run: () => sql`select 1`.execute(app.db) },
    { name: 'a raw select of Drizzle', run: () => app.orm.execute(drizzleSql`select 1`) },
    { name: 'a raw select on the pool', run: () => app.pool.query('  select 1') },
    {
      name: 'asking where one is',
      run: () => Promise.resolve([app.db.inTransaction, app.shared.current]),
    },
  ])('$name keeps the cache', async ({ run }) => {
    await app.warm()
    await run()
    expect(app.cache.forgotten).toEqual([])
    app.transcript.clear()
    await app.cached()
    expect(app.transcript.lines()).toEqual([])
  })
})

test('a write that fails does not change the results', async () => {
  await app.observer.query("insert into note (text) values ('a')")
  await app.warm()
  await expect(app.db.insertInto('note').values({ text: 'a' }).execute()).rejects.toThrow(
    'duplicate',
  )
  expect(await app.cached()).toEqual(['a'])
  expect(app.transcript.lines()[0]).toBe('insert a')
  expect(await app.rows()).toEqual(['a'])
})

describe('a cache that fails', () => {
  const down = new Error('the cache is down')
  const told = expect.objectContaining({ name: 'HookError', outcome: 'committed', errors: [down] })
  let taken: unknown[] = []
  const taking = useCachedApp('all', {
    onHookError: (error) => void taken.push(error),
  })
  // Drizzle reports its own writes to its cache, and rejects if the cache throws.
  const ours = writes.filter(({ name }) => name !== 'an insert of Drizzle')

  test.each(ours)('rejects $name, which is committed', async ({ run }) => {
    await app.warm()
    app.cache.onForget = () => Promise.reject(down)
    expect(await failureOf(run(app))).toEqual(told)
    expect(app.transcript.lines()).toHaveLength(1)
    expect(await app.rows()).toEqual(['w'])
  })

  test.each(ours)('is reported to onHookError, and $name resolves', async ({ run }) => {
    await taking.warm()
    taking.cache.onForget = () => Promise.reject(down)
    taken = []
    await run(taking)
    expect(taken).toEqual([told])
    expect(taking.transcript.lines()).toHaveLength(1)
    expect(await taking.rows()).toEqual(['w'])
  })
})

test('a cached result does not change when the program changes its copy', async () => {
  await app.observer.query("insert into note (text) values ('a')")
  const query = () => app.orm.select({ text: notes.text }).from(notes)
  const first = await query()
  expect(first).toEqual([{ text: 'a' }])
  Object.assign(first[0] ?? {}, { text: 'changed by the program' })
  expect(await query()).toEqual([{ text: 'a' }])
  expect(app.transcript.lines()).toEqual(['select'])
  expect(await app.rows()).toEqual(['a'])
})

test('a query with other values is another query', async () => {
  await app.observer.query("insert into note (text) values ('a'), ('b')")
  const query = (text: string) =>
    app.orm
      .select({ text: notes.text })
      .from(notes)
      .where(drizzleSql`${notes.text} = ${text}`)
  expect(await query('a')).toEqual([{ text: 'a' }])
  expect(await query('b')).toEqual([{ text: 'b' }])
  expect(await query('a')).toEqual([{ text: 'a' }])
  expect(app.transcript.lines()).toEqual(['select a', 'select b'])
  expect(await app.rows()).toEqual(['a', 'b'])
})
