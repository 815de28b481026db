import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { fateOf, fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

// COPY FROM STDIN as a plain text: pg has nothing to send, says so, and must stay in step.

describe.each(joining)('COPY FROM STDIN as a query, with $name', ({ options }) => {
  const { app } = useRecordedApp(options)
  const copy = () => app.pool.query('copy note (text) from stdin')

  /** The same client works on, and is in step with the server. */
  async function nextWorks(): Promise<void> {
    const fates = await app.shared.transaction(() =>
      fatesOf([note(app, 'next'), app.pool.query('select 1'), note(app, 'last')]),
    )
    expect(fates).toEqual(['done', 'done', 'done'])
    const { rows } = await app.pool.query('select 42 as answer')
    expect(rows).toEqual([{ answer: 42 }])
    expect(await app.rows()).toEqual(['next', 'last'])
  }

  test.each([
    { place: 'alone', at: 0, others: 0 },
    { place: 'first', at: 0, others: 2 },
    { place: 'in the middle', at: 1, others: 2 },
    { place: 'last', at: 2, others: 2 },
  ])('$place fails, and the next request works', async ({ at, others }) => {
    const fates: string[] = []
    const pid = await session()
    const error = await failureOf(
      app.shared.transaction(async () => {
        const issued = ['a', 'b'].slice(0, others).map((text) => () => note(app, text))
        const all = issued.toSpliced(at, 0, copy as never)
        fates.push(...(await fatesOf(all.map((issue) => issue()))))
      }),
    )
    expect(fates.slice(0, at)).toEqual(Array(at).fill('done'))
    // 57014: pg said that it has nothing; 08P01: another statement came instead of data
    expect(fates[at]).toMatch(/^error (57014|08P01)$/)
    expect(fates.slice(at + 1)).toEqual(
      Array(fates.length - at - 1).fill(expect.stringMatching(/ 25P02$/)),
    )
    expect(error).toMatchObject({ name: 'TransactionAbortedError' })
    expect(await session()).toBe(pid)
    await nextWorks()
  })

  test('twice in one pipeline fails once', async () => {
    const fates: string[] = []
    await failureOf(
      app.shared.transaction(async () => {
        fates.push(...(await fatesOf([note(app, 'a'), copy(), copy()])))
      }),
    )
    expect(fates[2]).toMatch(/ 25P02$/)
    await nextWorks()
  })

  test.each(['first', 'last'])(
    'as the %s in a nested block is rolled back with it',
    async (place) => {
      await app.shared.transaction(async () => {
        await note(app, 'next')
        const nested = app.db.transaction().execute(async () => {
          if (place === 'first') await Promise.all([copy(), note(app, 'a')])
          else await Promise.all([note(app, 'a'), copy()])
        })
        expect(await fateOf(nested)).not.toBe('done')
        await Promise.all([note(app, 'b'), note(app, 'c')])
      })
      expect(await app.rows()).toEqual(['next', 'b', 'c'])
    },
  )

  test('outside a transaction fails, and the next request works', async () => {
    expect(await failureOf(copy())).toMatchObject({ code: '57014' })
    await nextWorks()
  })

  test('COPY TO STDOUT among others leaves them in step', async () => {
    const fates = await app.shared.transaction(() =>
      fatesOf([
        note(app, 'next'),
        app.pool.query('copy (select i from generate_series(1, 100) i) to stdout'),
        note(app, 'last'),
      ]),
    )
    expect(fates).toEqual(['done', 'done', 'done'])
    expect(await app.rows()).toEqual(['next', 'last'])
  })

  /** The server process that the pool's only client talks to. */
  async function session(): Promise<unknown> {
    return (await app.pool.query('select pg_backend_pid() as pid')).rows[0]?.pid
  }
})
