import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { bundle, type Libraries, useCopy, type World, keepExtension } from './copy.ts'

keepExtension()
const app = useApp()

/** The ways to a transaction, each with a row of its own. */
const BLOCKS: Readonly<
  Record<string, (world: World, text: string, inside: () => Promise<unknown>) => Promise<unknown>>
> = {
  drizzle: ({ orm }, text, inside) =>
    orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text })
      await inside()
    }),
  kysely: ({ db }, text, inside) =>
    db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text }).execute()
      await inside()
    }),
  shared: ({ shared, orm }, text, inside) =>
    shared.transaction(async () => {
      await orm.insert(notes).values({ text })
      await inside()
    }),
  controlled: async ({ db, shared }, text, inside) => {
    const trx = await db.startTransaction().execute()
    try {
      await trx.insertInto('note').values({ text }).execute()
      await shared.within(trx, inside)
    } catch (error) {
      await trx.rollback().execute()
      throw error
    }
    await trx.commit().execute()
  },
}
const PAIRS = Object.keys(BLOCKS).flatMap((outer) =>
  Object.keys(BLOCKS).map((inner) => ({ outer, inner })),
)

describe.each<Libraries>(['own', 'common'])('copies with their %s libraries', (libraries) => {
  let pool: Pool
  let a: World
  let b: World

  beforeAll(async () => {
    const load = await bundle(libraries)
    pool = new Pool({ connectionString: app.url, max: 2 })
    a = useCopy(load(), pool)
    // what a module makes that lives on globalThis, and is made once
    b = useCopy(load(), pool, a.orm)
    expect(b.bridge.shareConnection).not.toBe(a.bridge.shareConnection)
    expect(b.kysely.Kysely === a.kysely.Kysely).toBe(libraries === 'common')
  })
  afterAll(async () => {
    a.shared.dispose()
    await pool.end()
  })

  describe.each(PAIRS)('$inner of one inside $outer of the other', ({ outer, inner }) => {
    const run = (kind: string, ...args: [World, string, () => Promise<unknown>]) =>
      BLOCKS[kind]?.(...args) as Promise<unknown>
    const boom = () => Promise.reject(new Error('boom'))

    test('is rolled back alone', async () => {
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        await run(outer, one, 'outer', async () => {
          await expect(run(inner, other, 'inner', boom)).rejects.toThrow('boom')
          await pool.query(`insert into note (text) values ('behind')`)
        })
        expect(await app.rows()).toEqual(['outer', 'behind'])
        await app.observer.query('delete from note')
      }
    })

    test('is rolled back with it', async () => {
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const failing = run(outer, one, 'outer', async () => {
          await run(inner, other, 'inner', () => other.orm.insert(notes).values({ text: 'in' }))
          await one.orm.insert(notes).values({ text: 'behind' })
          throw new Error('boom')
        })
        await expect(failing).rejects.toThrow('boom')
        expect(await app.rows()).toEqual([])
      }
      expect(pool.totalCount).toBe(1)
    })
  })

  test('a Drizzle database of each is adopted once, on one connection', async () => {
    const orm = b.drizzle({ client: pool })
    expect(b.bridge.shareConnection(orm)).toBe(b.shared)
    expect(a.bridge.shareConnection(orm)).toBe(a.shared)
    const failing = a.db.transaction().execute(async () => {
      await orm.insert(notes).values({ text: 'a' })
      await orm.transaction((tx) => tx.insert(notes).values({ text: 'b' }))
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'rollback',
    ])
  })

  test('a Rollback of one is granted by the other', async () => {
    const value = await a.shared.transaction(async ({ tx }) => {
      await tx.insert(notes).values({ text: 'a' })
      throw new b.bridge.Rollback('taken back')
    })
    const joined = await b.shared.transaction(async ({ trx }) => {
      await trx.deleteFrom('note' as never).execute()
      return a.shared.transaction(
        () => {
          throw new a.bridge.Rollback('taken back, too')
        },
        { propagation: 'nested' },
      )
    })
    expect([value, joined]).toEqual(['taken back', 'taken back, too'])
    expect(await app.rows()).toEqual([])
  })

  test('the public errors of one are instances of the classes of the other', () => {
    class OfUser extends b.bridge.Rollback {}
    expect(new OfUser()).toBeInstanceOf(a.bridge.Rollback)
    expect(new OfUser()).toBeInstanceOf(OfUser)
    expect(new b.bridge.Rollback()).not.toBeInstanceOf(OfUser)
    expect(new a.bridge.Rollback()).not.toBeInstanceOf(b.bridge.HookError)
    const names = Object.keys(a.bridge).filter((name) => name.endsWith('Error'))
    const classes = names.filter((name) => /^[A-Z]/.test(name)) as 'PropagationError'[]
    expect(classes.length).toBeGreaterThan(20)
    for (const name of classes) {
      const error = Object.create(b.bridge[name].prototype) as Error
      const are = classes.filter((other) => error instanceof a.bridge[other])
      expect(are).toEqual(classes.filter((other) => error instanceof b.bridge[other]))
      expect(are).toContain(name)
      expect(a.bridge.isSharedConnectionError(error)).toBe(true)
    }
  })

  test('a handle of one is a handle for the other', async () => {
    await b.db.transaction().execute(async (trx) => {
      expect(a.shared.of(trx).layer).toBe('kysely')
      await a.shared.outside(async () => {
        await a.shared.within(trx, () => a.orm.insert(notes).values({ text: 'within' }))
        await a.shared.drizzleFor(trx).insert(notes).values({ text: 'drizzleFor' })
        const own = a.shared.kyselyFor(trx, a.db)
        expect(own).toBeInstanceOf(a.kysely.Kysely)
        await own.insertInto('note').values({ text: 'kyselyFor' }).execute()
        const others = a.shared.kyselyFor(trx, b.db)
        expect(others).toBeInstanceOf(b.kysely.Kysely)
        await others.insertInto('note').values({ text: 'by the other' }).execute()
      })
      expect(a.shared.current?.id).toBe(b.shared.current?.id)
    })
    await a.orm.transaction(async (tx) => {
      const trx = b.shared.kyselyFor(tx, b.db)
      expect(trx).toBeInstanceOf(b.kysely.Kysely)
      await trx.insertInto('note').values({ text: 'of a tx' }).execute()
      expect(a.shared.of(trx).id).toBe(b.shared.of(tx).id)
    })
    expect(await app.rows()).toEqual([
      'within',
      'drizzleFor',
      'kyselyFor',
      'by the other',
      'of a tx',
    ])
  })

  test('hooks of both run in one list, in their frames', async () => {
    const ran: string[] = []
    await a.orm.transaction(async (tx) => {
      await b.db.afterCommit(() => void ran.push('b'))
      await a.shared.afterCommit(() => void ran.push('a'))
      await b.shared.afterCommit(() => void ran.push('on tx'), { on: tx })
      await b.db.beforeCommit(() => b.db.insertInto('note').values({ text: 'hook' }).execute())
      const failing = b.db.transaction().execute(async (trx) => {
        await a.shared.afterCommit(() => void ran.push('dropped'), { on: trx })
        throw new Error('boom')
      })
      await expect(failing).rejects.toThrow('boom')
    })
    expect(ran).toEqual(['b', 'a', 'on tx'])
    expect(await app.rows()).toEqual(['hook'])
    const failing = a.shared.transaction(() =>
      b.db.afterCommit(() => {
        throw new Error('boom')
      }),
    )
    expect(await failureOf(failing)).toBeInstanceOf(b.bridge.HookError)
  })

  test('a batch takes the builders of both', async () => {
    await a.shared.batch([
      b.db.insertInto('note').values({ text: 'a' }),
      b.orm.insert(notes).values({ text: 'b' }),
      a.db.insertInto('note').values({ text: 'c' }),
    ])
    const failing = b.shared.batch([
      a.db.insertInto('note').values({ text: 'd' }),
      b.db.insertInto('note').values({ text: 'a' }),
      a.db.insertInto('note').values({ text: 'e' }),
    ])
    expect(await failureOf(failing)).toMatchObject({ code: '23505' })
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'insert b',
      'insert c',
      'commit',
      'begin',
      'insert d',
      'insert a',
      'insert e',
      'commit',
      'rollback',
    ])
  })

  test('withClient() of one gives the client of the other', async () => {
    await a.shared.transaction(() =>
      b.shared.withClient((client) =>
        a.shared.withClient(async (same) => {
          expect(same).toBe(client)
          await client.query(`insert into note (text) values ('a')`)
          const failure = await failureOf(b.db.selectFrom('note').selectAll().execute())
          expect(failure).toBeInstanceOf(a.bridge.ControlStatementError)
        }),
      ),
    )
    expect(await app.rows()).toEqual(['a'])
  })

  test('streams of both are open at once in one transaction', async () => {
    const many = (world: World) => {
      const series = world.kysely.sql<number>`generate_series(1, 5)`.as('n')
      return world.db.selectNoFrom(series).stream(2)
    }
    await a.shared.transaction(async () => {
      const streams = [many(a), many(b)]
      const rows: unknown[] = []
      for (let n = 0; n < 5; n++) {
        for (const stream of streams) rows.push(((await stream.next()).value as { n: number }).n)
      }
      expect(rows).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
      for (const stream of streams) expect((await stream.next()).done).toBe(true)
    })
  })

  test('a conflict in a statement of one is done again by the other', async () => {
    let tries = 0
    await a.shared.transaction(
      async () => {
        tries++
        if (tries > 1) return
        await b.kysely.sql`do $$ begin raise exception using errcode = '40001'; end $$`.execute(
          b.db,
        )
      },
      { retry: 1 },
    )
    expect(tries).toBe(2)
  })
})
