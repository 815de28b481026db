import { StatementSkippedError, TransactionAbortedError } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { refuse, useRefusingApp } from './accounts.ts'

describe.each(joining)('an error among statements issued together, with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)

  describe.each(speakers)('in a transaction of $name', (speaker) => {
    test.each([
      { where: 'first', texts: ['taken', 'a', 'b'], fates: ['23505', '25P02', '25P02'] },
      { where: 'in the middle', texts: ['a', 'taken', 'b'], fates: ['done', '23505', '25P02'] },
      { where: 'last', texts: ['a', 'b', 'taken'], fates: ['done', 'done', '23505'] },
    ])('$where: those in front resolve, those behind are skipped', async ({ texts, fates }) => {
      await note(app, 'taken')
      clear()
      const told: unknown[] = []
      const error = await failureOf(
        speaker.block(app, async () => {
          const settled = await Promise.allSettled(texts.map((text) => note(app, text)))
          for (const one of settled) {
            if (one.status === 'fulfilled') told.push('done')
            else told.push(one.reason.code)
          }
          const reasons = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
          for (const skipped of reasons.slice(1)) {
            expect(skipped).toBeInstanceOf(StatementSkippedError)
            expect(skipped.sql).toBe('insert into note (text) values ($1) returning id, text')
            expect(skipped.cause).toBe(reasons[0])
          }
          const values = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
          expect(values.map(({ rows }) => rows[0]?.text)).toEqual(
            texts.slice(0, fates.indexOf('23505')),
          )
        }),
      )
      expect(told).toEqual(fates)
      expect(error).toBeInstanceOf(TransactionAbortedError)
      expect(error).toMatchObject({ cause: { code: '23505' } })
      expect(trips()).toBe(2)
      expect(await app.rows()).toEqual(['taken'])
      await speaker.block(app, () => speaker.note(app, 'next'))
      expect(await app.rows()).toEqual(['taken', 'next'])
    })
  })

  test.each(worlds)('$name: a nested block recovers by its savepoint', async ({ outer, inner }) => {
    clear()
    await outer.block(app, async () => {
      await outer.note(app, 'p')
      const nested = inner.block(app, () =>
        Promise.all([inner.note(app, 'a'), outer.note(app, 'p'), inner.note(app, 'b')]),
      )
      await failureOf(nested)
      await Promise.all([inner.note(app, 'c'), outer.note(app, 'd')])
    })
    expect((await app.rows()).toSorted()).toEqual(['c', 'd', 'p'])
    // p; a, p, b; ROLLBACK TO; c, d; COMMIT
    expect(trips()).toBe(5)
  })

  describe.each(worlds)('$name', ({ outer, inner }) => {
    test.each([0, 1, 2])('the block rejects with the error itself, at place %i', async (place) => {
      await note(app, 'taken')
      const texts = ['a', 'b', 'c', 'd'].with(place, 'taken')
      const failing = outer.block(app, () =>
        Promise.all(texts.map((text, at) => (at % 2 ? outer : inner).note(app, text))),
      )
      expect(await failureOf(failing)).toMatchObject({ code: '23505' })
      expect(await app.rows()).toEqual(['taken'])
    })
  })

  test('in a nested block that swallows it makes that block fail, not the one around', async () => {
    await app.shared.transaction(async () => {
      await note(app, 'p')
      const nested = app.db.transaction().execute(async () => {
        await Promise.allSettled([note(app, 'a'), note(app, 'p'), note(app, 'b')])
      })
      expect(await failureOf(nested)).toMatchObject({
        name: 'TransactionAbortedError',
        cause: { code: '23505' },
      })
      await note(app, 'q')
    })
    expect(await app.rows()).toEqual(['p', 'q'])
  })

  test('each layer reports it in its own way, also for skipped statements', async () => {
    const reasons: unknown[] = []
    await failureOf(
      app.shared.transaction(async () => {
        const settled = await Promise.allSettled([
          app.pool.query('select 1 / 0'),
          app.orm.insert(notes).values({ text: 'a' }),
          app.db.insertInto('note').values({ text: 'b' }).execute(),
          note(app, 'c'),
        ])
        for (const one of settled) reasons.push(one.status === 'rejected' && one.reason)
      }),
    )
    const [first, ofDrizzle, ofKysely, ofPg] = reasons
    expect(first).toMatchObject({ code: '22012' })
    expect(ofDrizzle).toMatchObject({ cause: { name: 'StatementSkippedError', cause: first } })
    expect(ofKysely).toMatchObject({ name: 'StatementSkippedError', cause: first })
    expect(ofPg).toMatchObject({ name: 'StatementSkippedError', cause: first })
    const { cause } = ofDrizzle as { cause: StatementSkippedError }
    expect(cause.sql).toMatch(/^insert into "note"/)
  })

  test('keeps a nested block from being opened, without asking the server', async () => {
    clear()
    const error = await failureOf(
      app.shared.transaction(async () => {
        await Promise.allSettled([note(app, 'a'), app.pool.query('select nothing'), note(app, 'b')])
        expect(await failureOf(app.orm.transaction(async () => 0))).toMatchObject({
          name: 'TransactionAbortedError',
        })
      }),
    )
    expect(error).toMatchObject({ cause: { code: '42703' } })
    expect(sent()).not.toContainEqual(expect.stringMatching(/^savepoint/))
  })

  test('in the second of two pipelines does not affect the results of the first', async () => {
    const told: string[] = []
    await failureOf(
      app.shared.transaction(async () => {
        const first = await Promise.all([note(app, 'a'), note(app, 'b')])
        told.push(...first.map(({ rows }) => rows[0]?.text ?? ''))
        await Promise.all([note(app, 'c'), note(app, 'a')])
      }),
    )
    expect(told).toEqual(['a', 'b'])
    expect(await app.rows()).toEqual([])
  })

  test('allows a rollback to a manual savepoint', async () => {
    await app.shared.transaction(async () => {
      const settled = await Promise.allSettled([
        note(app, 'a'),
        app.pool.query('savepoint mark'),
        note(app, 'b'),
        note(app, 'a'),
        note(app, 'c'),
      ])
      expect(settled.map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'fulfilled',
        'rejected',
        'rejected',
      ])
      await app.pool.query('rollback to mark')
      await Promise.all([note(app, 'd'), app.pool.query('release mark'), note(app, 'e')])
    })
    expect(await app.rows()).toEqual(['a', 'd', 'e'])
  })
})

const small = useApp({ pool: { max: 1 } })

test.each(worlds)(
  'a block that opens while a pipeline fails gets no other error than that, in $name',
  async ({ outer, inner }) => {
    let block: Promise<unknown> | undefined
    const failure = await failureOf(
      outer.block(small, async () => {
        await outer.note(small, 'a')
        const issued = [speakers[0].note(small, 'b'), small.pool.query('select 1 / 0')]
        block = inner.block(small, () => Promise.resolve())
        await Promise.all([...issued, block.catch(() => {})])
      }),
    )
    expect(failure).toMatchObject({ code: '22012' })
    const [told] = await Promise.allSettled([block])
    // it has sent nothing: it may be fulfilled, refused, or aborted with that error, but with no other
    if (told?.status === 'rejected') {
      const { cause, name } = told.reason as Error
      expect(['TransactionAbortedError', 'TransactionClosedError']).toContain(name)
      if (cause !== undefined) expect(cause).toMatchObject({ code: '22012' })
    }
    expect(await small.rows()).toEqual([])
  },
)

// Tests of an application may stop the clock: no error may depend on the global timers.
describe('while fake timers stop the clock', () => {
  const stopped = useRefusingApp(true)

  beforeEach(async () => {
    await stopped.pool.query('select 1')
    vi.useFakeTimers()
  })
  afterEach(() => void vi.useRealTimers())

  test('a statement that was skipped behind an error rejects', async () => {
    let fates: string[] = []
    const failing = stopped.shared.transaction(async () => {
      fates = await fatesOf([
        note(stopped, 'a'),
        stopped.pool.query('select 1 / 0'),
        note(stopped, 'b'),
      ])
    })
    expect((await failureOf(failing)).cause).toMatchObject({ code: '22012' })
    expect(fates).toEqual(['done', 'error 22012', 'StatementSkippedError 25P02'])
    expect(await stopped.rows()).toEqual([])
  })

  test('a statement that waits for a refused BEGIN rejects', async () => {
    refuse('begin')
    let fates: string[] = []
    const failing = stopped.shared.transaction(async () => {
      const first = note(stopped, 'a')
      // it has left with BEGIN by then
      await new Promise<void>((resolve) => process.nextTick(resolve))
      fates = await fatesOf([first, note(stopped, 'b')])
    })
    expect((await failureOf(failing)).cause).toMatchObject({ code: '42601' })
    expect(fates).toEqual(['error 42601', 'TransactionClosedError'])
    expect(await stopped.rows()).toEqual([])
  })
})
