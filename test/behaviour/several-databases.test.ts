import { AmbiguousDatabaseError, shareConnection } from 'shared-connection'
import { Kysely, PostgresDialect } from 'kysely'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { worlds } from '../setup/worlds.ts'

const one = useApp({ shared: { name: 'one' } })
const two = useApp({ shared: { name: 'two' } })

/** The statements of both databases, each with its name. They share one channel. */
const linesOfBoth = (): string[] =>
  one.transcript
    .events()
    .map((event, at) => `${event.database}: ${one.transcript.lines()[at] ?? ''}`)

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a transaction of each is open at the same time, and neither affects the other', async () => {
    await outer.block(one, async () => {
      await outer.note(one, 'a')
      await inner.block(two, async () => {
        await inner.note(two, 'b')
        await outer.note(one, 'c')
        expect([one.shared.current?.depth, two.shared.current?.depth]).toEqual([1, 1])
      })
      expect([one.shared.inTransaction, two.shared.inTransaction]).toEqual([true, false])
      expect([await one.rows(), await two.rows()]).toEqual([[], ['b']])
      await outer.note(one, 'd')
    })
    expect([await one.rows(), await two.rows()]).toEqual([['a', 'c', 'd'], ['b']])
    expect(linesOfBoth()).toEqual([
      'one: begin',
      'one: insert a',
      'two: begin',
      'two: insert b',
      'one: insert c',
      'two: commit',
      'one: insert d',
      'one: commit',
    ])
  })

  test('savepoints are those of each database', async () => {
    await outer.block(one, () =>
      inner.block(two, async () => {
        await outer.note(one, 'a')
        await inner.note(two, 'b')
        const failing = outer.block(one, async () => {
          await outer.note(one, 'gone')
          await inner.block(two, () => inner.note(two, 'c'))
          throw new Error('boom')
        })
        await expect(failing).rejects.toThrow('boom')
      }),
    )
    expect([await one.rows(), await two.rows()]).toEqual([['a'], ['b', 'c']])
    expect(linesOfBoth()).toEqual([
      'one: begin',
      'one: insert a',
      'two: begin',
      'two: insert b',
      'one: savepoint sp1',
      'one: insert gone',
      'two: savepoint sp1',
      'two: insert c',
      'one: rollback to savepoint sp1',
      'two: commit',
      'one: commit',
    ])
  })

  test('a failure rolls back the blocks that it passes through, and no others', async () => {
    const boom = new Error('boom')
    const failing = outer.block(one, async () => {
      await outer.note(one, 'a')
      await inner.block(two, async () => {
        await inner.note(two, 'b')
        await one.shared.outside(() => outer.note(one, 'kept'))
        throw boom
      })
    })
    await expect(failing).rejects.toBe(boom)
    expect([await one.rows(), await two.rows()]).toEqual([['kept'], []])
    expect(linesOfBoth()).toEqual([
      'one: begin',
      'one: insert a',
      'two: begin',
      'two: insert b',
      'one: insert kept',
      'two: rollback',
      'one: rollback',
    ])
  })
})

test('hooks are those of the database that they were registered on', async () => {
  const order: string[] = []
  const failing = one.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await two.db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'b' }).execute()
      await one.db.afterCommit(() => void order.push('one committed'))
      await two.db.afterCommit(() => void order.push('two committed'))
      await one.db.afterRollback(() => void order.push('one rolled back'))
    })
    order.push('between')
    throw new Error('boom')
  })
  await expect(failing).rejects.toThrow('boom')
  expect(order).toEqual(['two committed', 'between', 'one rolled back'])
  expect([await one.rows(), await two.rows()]).toEqual([[], ['b']])
  expect(linesOfBoth().slice(-2)).toEqual(['two: commit', 'one: rollback'])
})

test('side by side, some of each', async () => {
  const texts = Array.from({ length: 2 }, (_, at) => `n${at}`)
  await Promise.all(
    texts.flatMap((text) => [
      one.orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text })
        await two.db
          .insertInto('note')
          .values({ text: `${text} from one` })
          .execute()
      }),
      two.db.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text }).execute()
        await one.orm.insert(notes).values({ text: `${text} from two` })
      }),
    ]),
  )
  expect((await one.rows()).toSorted()).toEqual(
    texts.flatMap((text) => [text, `${text} from two`]).toSorted(),
  )
  expect((await two.rows()).toSorted()).toEqual(
    texts.flatMap((text) => [text, `${text} from one`]).toSorted(),
  )
  expect(linesOfBoth().filter((line) => line.endsWith('commit'))).toHaveLength(4)
})

test('a handle of one database is refused by the other', async () => {
  await one.orm.transaction(async (tx) => {
    expect(() => two.shared.of(tx)).toThrow(
      /handle of the database "two", got one of the database "one"/,
    )
    expect((await failureOf(two.shared.within(tx, () => {}))).name).toBe('InvalidArgumentError')
    await tx.insert(notes).values({ text: 'a' })
  })
  expect([await one.rows(), await two.rows()]).toEqual([['a'], []])
  expect(linesOfBoth()).toEqual(['one: begin', 'one: insert a', 'one: commit'])
})

test('extension() without a choice lists them', () => {
  const db = new Kysely({ dialect: new PostgresDialect({ pool: one.pool }) })
  expect(() => db.extension('shared-connection')).toThrow(AmbiguousDatabaseError)
  expect(() => db.extension('shared-connection')).toThrow(/one, two/)
  expect(shareConnection(one.orm)).not.toBe(shareConnection(two.orm))
})

test('errors about a transaction name its database', async () => {
  let leaked: Promise<unknown> | undefined
  await one.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    leaked = new Promise((resolve) => setImmediate(resolve)).then(() =>
      failureOf(tx.insert(notes).values({ text: 'late' })),
    )
  })
  expect(await leaked).toMatchObject({
    name: 'TransactionClosedError',
    message: expect.stringContaining('the transaction (drizzle) on one'),
  })
  expect(await one.rows()).toEqual(['a'])
  expect(linesOfBoth()).toEqual(['one: begin', 'one: insert a', 'one: commit'])
})
