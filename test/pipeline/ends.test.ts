import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { asleep, session, terminate } from '../faults/support.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

const boom = new Error('boom')

describe.each(joining)('with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)
  const nap = (seconds = 30) => app.pool.query('select pg_sleep($1)', [seconds])

  describe.each(worlds)('$name', ({ outer, inner }) => {
    test('a throw right behind statements that nobody awaits sends nothing', async () => {
      clear()
      const left: Promise<string[]>[] = []
      const error = await failureOf(
        outer.block(app, async () => {
          left.push(fatesOf([note(app, 'a'), note(app, 'b')]))
          throw boom
        }),
      )
      expect(error).toBe(boom)
      expect(await left[0]).toEqual(['TransactionClosedError', 'TransactionClosedError'])
      expect(sent()).toEqual([])
      expect(await app.rows()).toEqual([])
    })

    test('a throw out of a nested block drops only the statements of that block', async () => {
      clear()
      const left: Promise<string[]>[] = []
      await outer.block(app, async () => {
        await outer.note(app, 'p')
        const error = await failureOf(
          inner.block(app, async () => {
            left.push(fatesOf([note(app, 'a'), note(app, 'b')]))
            throw boom
          }),
        )
        expect(error).toBe(boom)
        await Promise.all([outer.note(app, 'q'), note(app, 'r')])
      })
      expect(await left[0]).toEqual(['TransactionClosedError', 'TransactionClosedError'])
      expect(sent()).toEqual([
        expect.stringMatching(/^begin/),
        'insert',
        'insert',
        'insert',
        'commit',
      ])
      expect((await app.rows()).toSorted()).toEqual(['p', 'q', 'r'])
    })
  })

  test.each(speakers)(
    'a block of $name that awaits none of its statements commits them',
    async (speaker) => {
      clear()
      await speaker.block(app, async () => {
        for (const text of ['a', 'b', 'c']) void note(app, text)
      })
      expect(trips()).toBe(2)
      expect(await app.rows()).toEqual(['a', 'b', 'c'])
    },
  )

  test('a throw while they are in flight rolls back behind them', async () => {
    clear()
    const left: Promise<string[]>[] = []
    const error = await failureOf(
      app.shared.transaction(async () => {
        left.push(fatesOf([note(app, 'a'), note(app, 'b')]))
        await setImmediate()
        throw boom
      }),
    )
    expect(error).toBe(boom)
    expect(await left[0]).toEqual(['done', 'done'])
    expect(sent()).toEqual(['begin', 'insert', 'insert', 'rollback'])
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual([])
  })

  test('a manual ROLLBACK right behind them is sent behind them', async () => {
    clear()
    const client = await app.pool.connect()
    await client.query('begin')
    const fates = fatesOf(
      ['a', 'b'].map((text) => client.query('insert into note (text) values ($1)', [text])),
    )
    await client.query('rollback')
    expect(await fates).toEqual(['done', 'done'])
    client.release()
    expect(sent()).toEqual(['begin', 'insert', 'insert', 'rollback'])
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual([])
  })

  test('a manual savepoint between them marks that very place', async () => {
    clear()
    await app.shared.transaction(async () => {
      await Promise.all([note(app, 'a'), app.pool.query('savepoint mark'), note(app, 'b')])
      await Promise.all([note(app, 'c'), app.pool.query('rollback to mark'), note(app, 'd')])
    })
    expect(sent()).toEqual([
      'begin',
      'insert',
      'savepoint "mark"',
      'insert',
      'insert',
      'rollback to savepoint "mark"',
      'insert',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'd'])
  })

  test.each([0, 1, 2])('a signal that comes during the one at place %i ends all', async (place) => {
    const pid = await session(app)
    const controller = new AbortController()
    let fates: Promise<string[]> | undefined
    const failing = failureOf(
      app.shared.transaction(
        async () => {
          const issued = ['a', 'b'].map((text) => note(app, text) as Promise<unknown>)
          const first = issued.slice(0, place)
          fates = fatesOf([...first, nap(), ...issued.slice(place)])
          await fates
        },
        { signal: controller.signal },
      ),
    )
    await asleep(app, pid)
    controller.abort(boom)
    expect(await failing).toBe(boom)
    const told = (await fates) ?? []
    expect(told.filter((fate) => fate === 'done').length).toBeLessThanOrEqual(2)
    expect(told).toHaveLength(3)
    expect(await session(app)).toBe(pid)
    expect(await app.rows()).toEqual([])
    await app.shared.transaction(() => Promise.all([note(app, 'next'), note(app, 'last')]))
    expect(await app.rows()).toEqual(['next', 'last'])
  })

  test('a timeout ends all of them on the server, too', async () => {
    const pid = await session(app)
    const error = await failureOf(
      app.shared.transaction(() => Promise.all([note(app, 'a'), nap(), note(app, 'b')]), {
        timeout: 100,
      }),
    )
    expect(error.name).toBe('TransactionTimeoutError')
    expect(await session(app)).toBe(pid)
    expect(await app.rows()).toEqual([])
  })

  describe.each(speakers)('a session of $name that ends in the middle', (speaker) => {
    test('rejects each of them, and the next request works', async () => {
      const pid = await session(app)
      let fates: Promise<string[]> | undefined
      const hooks: string[] = []
      const failing = failureOf(
        speaker.block(app, async () => {
          await app.shared.afterCompletion((outcome) => void hooks.push(outcome))
          fates = fatesOf([note(app, 'a'), nap(), note(app, 'b')])
          await fates
        }),
      )
      await asleep(app, pid)
      await terminate(app, pid)
      expect((await failing).name).toBe('TransactionAbortedError')
      const told = (await fates) ?? []
      expect(told[1]).toBe('error 57P01')
      expect(told[2]).not.toBe('done')
      expect(hooks).toEqual(['rolled-back'])
      await app.shared.transaction(() => Promise.all([note(app, 'next'), note(app, 'last')]))
      expect(await app.rows()).toEqual(['next', 'last'])
    })
  })

  test('statement_timeout applies to each of them', async () => {
    await app.shared.transaction(async () => {
      await app.pool.query('set local statement_timeout = 800')
      await Promise.all([nap(0.3), nap(0.3), nap(0.3), note(app, 'a')])
    })
    expect(await app.rows()).toEqual(['a'])
  })

  test('a deferred constraint fails COMMIT, not one of them', async () => {
    const fates: string[] = []
    const error = await failureOf(
      app.shared.transaction(async () => {
        const orphan = "insert into reply (note_id, text) values (-1, 'orphan')"
        fates.push(
          ...(await fatesOf([
            app.pool.query('set constraints all deferred'),
            app.pool.query(orphan),
            note(app, 'a'),
          ])),
        )
      }),
    )
    expect(fates).toEqual(['done', 'done', 'done'])
    expect(error).toMatchObject({ code: '23503' })
    expect(await app.rows()).toEqual([])
  })

  test('a procedure that commits fails among them like any other statement', async () => {
    await app.observer.query(
      'create or replace procedure committing() language plpgsql as $$ begin commit; end $$',
    )
    let fates: string[] = []
    await failureOf(
      app.shared.transaction(async () => {
        fates = await fatesOf([note(app, 'a'), app.pool.query('call committing()'), note(app, 'b')])
      }),
    )
    expect(fates).toEqual(['done', 'error 2D000', 'StatementSkippedError 25P02'])
    expect(await app.rows()).toEqual([])
  })

  test('hooks of a transaction with a pipeline run in it, or after it', async () => {
    const ran: string[] = []
    await app.shared.transaction(async () => {
      await app.shared.beforeCommit(async () => {
        await Promise.all([note(app, 'x'), note(app, 'y')])
        ran.push('before')
      })
      await app.shared.afterCommit(async () => void ran.push((await app.rows()).join()))
      await Promise.all([note(app, 'a'), note(app, 'b')])
    })
    expect(ran).toEqual(['before', 'a,b,x,y'])
  })

  test('a failing pipeline in a before-commit hook rolls back the transaction', async () => {
    const error = await failureOf(
      app.shared.transaction(async () => {
        await app.shared.beforeCommit(() => Promise.all([note(app, 'x'), note(app, 'a')]))
        await note(app, 'a')
      }),
    )
    expect(error).toMatchObject({ code: '23505' })
    expect(await app.rows()).toEqual([])
  })
})
