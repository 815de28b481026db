import { runInNewContext } from 'node:vm'
import { sql } from 'kysely'
import { HookError, Rollback, TransactionOutcomeUnknownError } from 'shared-connection'
import { beforeEach, describe, expect, test } from 'vitest'
import { interruptSleep, sleeping } from '../setup/sessions.ts'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 5 } })

/** Fails with the server's error for a serialization failure. */
const CONFLICT = `do $$ begin raise 'no order' using errcode = 'serialization_failure'; end $$`
const DEADLOCK = `do $$ begin raise 'no way out' using errcode = 'deadlock_detected'; end $$`

/** Sends a statement through a layer, with that layer's form of errors. */
const send: Record<Speaker['name'], (text: string) => Promise<unknown>> = {
  drizzle: (text) => app.orm.execute(text),
  kysely: (text) => sql.raw(text).execute(app.db),
  shared: (text) => app.pool.query(text),
}

const soon = { delay: 1 }

describe.each(speakers)('retry of a transaction in which $name works', (speaker) => {
  test.each([
    ['a serialization failure', CONFLICT],
    ['a deadlock', DEADLOCK],
  ])('does it again after %s', async (_, failing) => {
    let runs = 0
    const value = await app.shared.transaction(
      async () => {
        await speaker.note(app, `run ${++runs}`)
        if (runs < 3) await send[speaker.name](failing)
        return runs
      },
      { retry: { limit: 2, ...soon } },
    )
    expect(value).toBe(3)
    const failed = (run: number) => ['begin', `insert run ${run}`, 'do', 'rollback']
    const kept = ['begin', 'insert run 3', 'commit']
    expect(app.transcript.lines()).toEqual([...failed(1), ...failed(2), ...kept])
    expect(await app.rows()).toEqual(['run 3'])
  })

  test("finds the conflict in the causes of a nested block's error and of a swallowed error", async () => {
    let runs = 0
    await app.shared.transaction(
      async () => {
        runs++
        if (runs === 1) await speaker.block(app, () => send[speaker.name](CONFLICT))
        if (runs === 2) await failureOf(send[speaker.name](CONFLICT))
        if (runs === 3) await speaker.note(app, 'a')
      },
      { retry: { limit: 2, ...soon } },
    )
    expect(runs).toBe(3)
    expect(await app.rows()).toEqual(['a'])
  })
})

describe('retry', () => {
  let runs = 0
  beforeEach(() => {
    runs = 0
  })

  test('stops at its limit, with the last error', async () => {
    const failure = await failureOf(
      app.shared.transaction(
        () => {
          runs++
          return app.pool.query(CONFLICT)
        },
        { retry: { limit: 2, ...soon } },
      ),
    )
    expect(failure).toMatchObject({ code: '40001' })
    expect(runs).toBe(3)
    expect(app.transcript.lines().filter((line) => line === 'begin')).toHaveLength(3)
  })

  test.each([
    ['another error of the server', () => app.pool.query('select 1 / 0')],
    ['an error of its own', () => Promise.reject(new Error('boom'))],
    ['a rollback on request', () => Promise.reject(new Rollback())],
  ])('does nothing after %s', async (_, fn) => {
    await app.shared
      .transaction(
        () => {
          runs++
          return fn()
        },
        { retry: { limit: 5, ...soon } },
      )
      .catch(() => {})
    expect(runs).toBe(1)
  })

  test('never repeats a transaction that has committed, though a hook of it met a conflict', async () => {
    const failure = await failureOf(
      app.shared.transaction(
        async () => {
          runs++
          await app.shared.afterCommit(() => app.pool.query(CONFLICT))
          await speakers[0].note(app, 'a')
        },
        { retry: { limit: 5, ...soon } },
      ),
    )
    expect(failure).toBeInstanceOf(HookError)
    expect(runs).toBe(1)
    expect(await app.rows()).toEqual(['a'])
  })

  test('never repeats a transaction that may have committed', async () => {
    await app.observer.query(`
      create function nap() returns trigger language plpgsql as $$
        begin perform pg_sleep(30); return null; end $$;
      create constraint trigger nap after insert on note deferrable initially deferred
        for each row when (new.text = 'slow') execute function nap()`)
    const failing = failureOf(
      app.shared.transaction(
        () => {
          runs++
          return speakers[0].note(app, 'slow')
        },
        { retry: { limit: 5, ...soon } },
      ),
    )
    await sleeping(app)
    await interruptSleep(app, 'pg_terminate_backend')
    expect(await failing).toBeInstanceOf(TransactionOutcomeUnknownError)
    expect(runs).toBe(1)
    expect(await app.rows()).toEqual([])
  })

  test('has new hooks each time, and runs those of each attempt with its outcome', async () => {
    const told: string[] = []
    await app.shared.transaction(
      async () => {
        const run = ++runs
        await app.shared.afterCommit(() => void told.push(`commit ${run}`))
        await app.shared.afterRollback(() => void told.push(`rollback ${run}`))
        await speakers[1].note(app, `run ${run}`)
        if (run < 3) await app.pool.query(CONFLICT)
      },
      { retry: { limit: 5, ...soon } },
    )
    expect(told).toEqual(['rollback 1', 'rollback 2', 'commit 3'])
  })

  test('calls onRetry outside the transaction, and waits for it', async () => {
    const told: unknown[] = []
    await app.shared.transaction(
      async () => {
        if (++runs < 3) await app.pool.query(CONFLICT)
      },
      {
        retry: {
          ...soon,
          onRetry: async (error, repetition) => {
            told.push([(error as { code: string }).code, repetition, app.shared.inTransaction])
            await speakers[0].note(app, `before ${repetition}`)
          },
        },
      },
    )
    expect(told).toEqual([
      ['40001', 1, false],
      ['40001', 2, false],
    ])
    expect(await app.rows()).toEqual(['before 1', 'before 2'])
  })

  test('ends when its signal is aborted in a pause', async () => {
    const controller = new AbortController()
    const given = new Error('given up')
    const failure = await failureOf(
      app.shared.transaction(() => app.pool.query(CONFLICT), {
        signal: controller.signal,
        retry: {
          limit: 5,
          delay: 60_000,
          maxDelay: 60_000,
          onRetry: () => void setImmediate(() => controller.abort(given)),
        },
      }),
    )
    expect(failure).toBe(given)
    expect(app.transcript.lines()).toEqual(['begin', 'do', 'rollback'])
  })

  test('is refused inside a transaction, before any SQL', async () => {
    await app.orm.transaction(async () => {
      for (const propagation of ['nested', 'required'] as const) {
        const failure = await failureOf(app.shared.transaction(() => 1, { propagation, retry: 1 }))
        expect(failure).toMatchObject({ name: 'TransactionOptionError' })
        expect(failure.message).toContain('the outermost shared.transaction()')
      }
    })
    expect(app.transcript.lines()).toEqual([])
  })

  test('is possible for an independent transaction inside another', async () => {
    await app.orm.transaction(async () => {
      await speakers[0].note(app, 'outer')
      await app.shared.transaction(
        async () => {
          await speakers[1].note(app, 'inner')
          if (++runs < 2) await app.pool.query(CONFLICT)
        },
        { propagation: 'requires-new', retry: { limit: 1, ...soon } },
      )
    })
    expect(runs).toBe(2)
    expect((await app.rows()).toSorted()).toEqual(['inner', 'outer'])
  })

  test.each([
    [-1, 'retry was -1'],
    [Number.NaN, 'retry was NaN'],
    ['3', 'retry was "3"'],
    [{ limits: 3 }, 'retry has no option "limits"'],
    [{ onRetry: 3 }, 'retry.onRetry was 3'],
    [{ delay: -1 }, 'retry.delay was -1'],
  ])('%j is refused before any SQL', async (retry, message) => {
    const failure = await failureOf(app.shared.transaction(() => 1, { retry: retry as number }))
    expect(failure).toMatchObject({ name: 'InvalidArgumentError' })
    expect(failure.message).toContain(message)
    expect(app.transcript.lines()).toEqual([])
  })
})

test('twenty serializable transactions that count one number through both layers lose none', async () => {
  await app.observer.query('create table counter (n int not null); insert into counter values (0)')
  const count = async (by: number): Promise<void> => {
    await app.shared.transaction(
      async ({ tx }) => {
        const { rows } = await tx.execute<{ n: number }>('select n from counter')
        const n = (rows[0]?.n ?? 0) + by
        await app.db.transaction().execute(() => sql`update counter set n = ${n}`.execute(app.db))
      },
      { isolationLevel: 'serializable', retry: { limit: 1_000, delay: 5, maxDelay: 50 } },
    )
  }
  await Promise.all(Array.from({ length: 20 }, (_, index) => count(index + 1)))
  const { rows } = await app.observer.query<{ n: number }>('select n from counter')
  expect(rows).toEqual([{ n: 210 }])
  // Without conflicts the test would prove nothing.
  expect(app.transcript.lines()).toContain('rollback')
})

test('finds a conflict in an error of another realm, and in its cause', async () => {
  const errors = runInNewContext(
    `[Object.assign(new Error('no order'), { code: '40001' }),
      new Error('wrapped', { cause: Object.assign(new Error('no way out'), { code: '40P01' }) })]`,
  ) as unknown[]
  expect(errors[0]).not.toBeInstanceOf(Error)
  let runs = 0
  await app.shared.transaction(
    async () => {
      const error = errors[runs++]
      await app.pool.query(`insert into note (text) values ('${runs}')`)
      if (error !== undefined) throw error
    },
    { retry: { limit: 2, ...soon } },
  )
  expect(runs).toBe(3)
  expect(await app.rows()).toEqual(['3'])
})
