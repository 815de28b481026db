import { customType, pgTable } from 'drizzle-orm/pg-core'
import type { KyselyPlugin } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { type AppOptions, notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { mannersHere, speakers } from '../setup/worlds.ts'
import { FaultyProxy } from '../faults/proxy.ts'
import { completes } from '../faults/messages.ts'

const ways = mannersHere<{ name: string; options: AppOptions; isTogether: boolean }>([
  { name: 'lazy', options: {}, isTogether: true },
  { name: 'not lazy', options: { shared: { lazy: false } }, isTogether: false },
  { name: 'join', options: { shared: { nesting: 'join' } }, isTogether: true },
  { name: 'pipeline', options: { pool: { pipeline: true } }, isTogether: true },
])

const refuse = (): never => {
  throw new Error('unreadable')
}
const unreadable = pgTable('note', {
  text: customType<{ data: string }>({ dataType: () => 'text', fromDriver: refuse })('text'),
})
const refusing: KyselyPlugin = { transformQuery: ({ node }) => node, transformResult: refuse }

describe.each(ways)('a batch, $name,', ({ options, isTogether }) => {
  const app = useApp({ ...options, pool: { max: 1, ...options.pool } })
  const byDrizzle = (text: string) => app.orm.insert(notes).values({ text }).returning()
  const byKysely = (text: string) => app.db.insertInto('note').values({ text })

  test('resolves with the results of both layers in order', async () => {
    const [first, second, third] = await app.shared.batch([
      byDrizzle('a'),
      byKysely('b').returning('text'),
      app.orm.select({ text: notes.text }).from(notes).orderBy(notes.id),
    ])
    expect(first).toMatchObject([{ text: 'a' }])
    expect(second).toEqual([{ text: 'b' }])
    expect(third).toEqual([{ text: 'a' }, { text: 'b' }])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'select', 'commit'])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('of which one fails leaves nothing, and rejects with its error', async () => {
    const failure = await failureOf(
      app.shared.batch([byKysely('a'), byDrizzle('b'), byKysely('a'), byDrizzle('c')]),
    )
    expect(failure).toMatchObject({ code: '23505' })
    const skipped = isTogether ? ['insert c', 'commit', 'rollback'] : ['insert c', 'rollback']
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'insert b',
      'insert a',
      ...skipped,
    ])
    expect(await app.rows()).toEqual([])
    await app.shared.batch([byKysely('d')])
    expect(await app.rows()).toEqual(['d'])
    expect(app.pool.totalCount).toBe(1)
  })

  test.each([0, 1, 2])(
    'of which item %j cannot be encoded leaves nothing in the database',
    async (at) => {
      const bad = {
        toPostgres(): never {
          throw new Error('no such value')
        },
      }
      const items = [byDrizzle('a'), byKysely('b'), byDrizzle('c')]
      items[at] = app.db.insertInto('note').values({ text: bad as never })
      const failure = await failureOf(app.shared.batch(items))
      expect(failure.message).toContain('no such value')
      expect(app.transcript.lines()).not.toContain('commit')
      expect(await app.rows()).toEqual([])
      await app.shared.batch([byKysely('d')])
      expect(await app.rows()).toEqual(['d'])
    },
  )

  test('of which one cannot be built sends nothing', async () => {
    const unbuilt = { execute: () => Promise.reject(new Error('not built')) }
    const failure = await failureOf(app.shared.batch([byDrizzle('a'), unbuilt, byKysely('b')]))
    expect(failure.message).toBe('not built')
    expect(app.transcript.lines().filter((line) => !/^(begin|rollback)/.test(line))).toEqual([])
    expect(await app.rows()).toEqual([])
  })

  test('with an item of another database is refused, and leaves nothing', async () => {
    const elsewhere = { execute: () => app.observer.query('select 1') }
    const failure = await failureOf(app.shared.batch([byDrizzle('a'), elsewhere]))
    expect(failure).toMatchObject({ name: 'InvalidArgumentError' })
    expect(await app.rows()).toEqual([])
  })

  test.each([
    [[1], 'item 0 of the batch is 1'],
    [[null], 'item 0 of the batch is null'],
    ['x', 'give it an array'],
    [undefined, 'give it an array'],
  ])('given %j is refused before any SQL', async (items, message) => {
    const failure = await failureOf(app.shared.batch(items as never))
    expect(failure).toMatchObject({ name: 'InvalidArgumentError' })
    expect(failure.message).toContain(message)
    expect(app.transcript.lines()).toEqual([])
  })

  test('that is empty sends nothing', async () => {
    expect(await app.shared.batch([])).toEqual([])
    expect(app.transcript.lines()).toEqual([])
  })

  describe.each([
    { what: 'a column', bad: () => app.orm.insert(unreadable).values({ text: 'b' }).returning() },
    {
      what: 'a plugin',
      bad: () => app.db.withPlugin(refusing).insertInto('note').values({ text: 'b' }),
    },
    {
      what: 'a type parser',
      bad: () => ({
        execute: () => {
          const text = `insert into note (text) values ('b') returning id`
          return app.pool.query({ text, types: { getTypeParser: () => refuse } })
        },
      }),
    },
  ])('whose rows $what refuses to read', ({ bad }) => {
    test(isTogether ? 'has committed, and says so' : 'keeps nothing', async () => {
      const failure = failureOf(app.shared.batch([byKysely('a'), bad(), byDrizzle('c')]))
      if (isTogether) {
        expect(await failure).toMatchObject({
          name: 'BatchResultError',
          outcome: 'committed',
          index: 1,
          cause: expect.objectContaining({ message: 'unreadable' }),
        })
        expect(await app.rows()).toEqual(['a', 'b', 'c'])
      } else {
        expect(await failure).toMatchObject({ message: 'unreadable' })
        expect(await app.rows()).toEqual([])
      }
      await app.shared.batch([byKysely('d')])
      expect((await app.rows()).at(-1)).toBe('d')
    })

    test.each(speakers)('leaves nothing inside a transaction of $name', async (speaker) => {
      await speaker.block(app, async () => {
        await speaker.note(app, 'outer')
        const failure = failureOf(app.shared.batch([byKysely('a'), bad(), byDrizzle('c')]))
        expect(await failure).toMatchObject({ message: 'unreadable' })
        await speaker.note(app, 'last')
      })
      expect(await app.rows()).toEqual(['outer', 'last'])
      expect(app.transcript.lines().slice(-4)).toEqual([
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'insert last',
        'commit',
      ])
    })
  })

  test('whose rows cannot be read and whose hook fails rejects with both errors', async () => {
    const bad = app.orm.insert(unreadable).values({ text: 'b' }).returning()
    const failing = (): never => {
      throw new Error('by a hook')
    }
    const hooking = {
      execute: async () => {
        await app.shared.afterCommit(failing)
        return byKysely('a').execute()
      },
    }
    const failure = (await failureOf(app.shared.batch([hooking, bad]))) as Error & {
      suppressed?: readonly Error[]
    }
    expect(await app.rows()).toEqual(isTogether ? ['a', 'b'] : [])
    if (!isTogether) return
    expect(failure.name).toBe('BatchResultError')
    expect(failure.suppressed?.map(({ name }) => name)).toEqual(['HookError'])
  })

  test.each(speakers)('inside a transaction of $name is a savepoint', async (speaker) => {
    const told: string[] = []
    await speaker.block(app, async () => {
      await speaker.note(app, 'outer')
      await app.shared.batch([byDrizzle('a'), byKysely('b')])
      const failure = failureOf(app.shared.batch([byDrizzle('c'), byKysely('a')]))
      expect(await failure).toMatchObject({ code: '23505' })
      await app.shared.afterCommit(() => void told.push('commit'))
      await speaker.note(app, 'last')
    })
    expect(told).toEqual(['commit'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'savepoint sp1',
      'insert a',
      'insert b',
      'release savepoint sp1',
      'savepoint sp1',
      'insert c',
      'insert a',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert last',
      'commit',
    ])
    expect(await app.rows()).toEqual(['outer', 'a', 'b', 'last'])
  })

  test('many at once take turns, and each is atomic', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        app.shared.batch([byDrizzle(`${n} a`), byKysely(n % 3 === 0 ? '0 a' : `${n} b`)]),
      ),
    )
    const kept = results.flatMap((result, n) => (result.status === 'fulfilled' ? [n] : []))
    const expected = kept.flatMap((n) => [`${n} a`, n % 3 === 0 ? '0 a' : `${n} b`])
    expect((await app.rows()).toSorted()).toEqual(expected.toSorted())
    // All batches commit, except those that insert '0 a' a second time.
    expect(kept).toHaveLength(14)
  })
})

describe('a batch through a proxy', () => {
  const proxy = new FaultyProxy()
  const app = useApp({ pool: { max: 1 }, through: proxy })
  const items = () =>
    [
      app.orm.insert(notes).values({ text: 'a' }),
      app.db.insertInto('note').values({ text: 'b' }),
    ] as const

  beforeAll(async () => {
    await app.pool.query('select 1')
  })

  test('whose connection is lost before any answer has an unknown outcome', async () => {
    const fault = proxy.plan('cut before', completes('BEGIN'))
    const failure = await failureOf(app.shared.batch([...items()]))
    await fault.struck
    expect(failure.name).toBe('TransactionOutcomeUnknownError')
    await app.observer.query('select pg_sleep(0.1)')
    expect([[], ['a', 'b']]).toContainEqual(await app.rows())
  })

  test('whose COMMIT was answered before the connection was lost has committed', async () => {
    const fault = proxy.plan('cut after', completes('COMMIT'))
    const outcome = await Promise.allSettled([app.shared.batch([...items()])])
    await fault.struck
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(outcome[0]?.status).toBe('fulfilled')
  })

  test('of ten is one round trip', async () => {
    const ten = Array.from({ length: 10 }, (_, n) =>
      n % 2 === 0
        ? app.orm.insert(notes).values({ text: `${n}` })
        : app.db.insertInto('note').values({ text: `${n}` }),
    )
    await app.pool.query('select 1')
    let syncs = 0
    proxy.plan('stall', ({ side, type }) => {
      if (side === 'frontend' && (type === 'S' || type === 'Q')) syncs++
      return false
    })
    await app.shared.batch(ten)
    expect(syncs).toBe(1)
    expect(await app.rows()).toHaveLength(10)
    proxy.forget()
  })
})
