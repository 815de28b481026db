import { sql } from 'kysely'
import { SessionKilledError } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { breathe } from '../setup/gate.ts'
import { interruptSleep, LOCK, locked, sleeping, whileLocked } from '../setup/sessions.ts'

const app = useApp({ pool: { max: 1 } })

// Kysely logs the result of an aborted statement, since nobody awaits it any more.
beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const nap = sql`select pg_sleep(30)`
const STRATEGIES = ['cancel query', 'kill session'] as const

type Strategy = (typeof STRATEGIES)[number] | 'ignore query'

/** A statement of Kysely's that is given up by `abort`. */
function abortable(statement: typeof nap, inflightQueryAbortStrategy: Strategy) {
  const controller = new AbortController()
  const { signal } = controller
  const failure = failureOf(statement.execute(app.db, { signal, inflightQueryAbortStrategy }))
  return { failure, abort: () => controller.abort(new Error('given up')) }
}

const hasSignals = inject('combination').kysely.version !== '0.28'

describe.skipIf(!hasSignals)('an aborted statement of Kysely', () => {
  describe.each(speakers)('in a transaction of $name', (outer) => {
    test('is cancelled while it runs, and its savepoint alone is rolled back', async () => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        const failure = failureOf(
          app.db.transaction().execute(async () => {
            const { abort, failure: given } = abortable(nap, 'cancel query')
            await sleeping(app)
            abort()
            throw await given
          }),
        )
        expect((await failure).message).toBe('given up')
        await outer.note(app, 'b')
      })
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'select',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'insert b',
        'commit',
      ])
      expect(await app.rows()).toEqual(['a', 'b'])
    })

    test('leaves the transaction aborted, since the server has failed the statement', async () => {
      const failure = await failureOf(
        outer.block(app, async () => {
          await outer.note(app, 'a')
          const { abort, failure: given } = abortable(nap, 'cancel query')
          await sleeping(app)
          abort()
          await given
        }),
      )
      expect(failure).toMatchObject({
        name: 'TransactionAbortedError',
        cause: { code: '57014' },
      })
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
      expect(await app.rows()).toEqual([])
    })

    test('that ends its session loses the transaction, for both layers', async () => {
      const ran: string[] = []
      const later: Promise<Error>[] = []
      const failure = await failureOf(
        outer.block(app, async () => {
          await app.shared.afterCompletion((outcome) => void ran.push(outcome))
          await outer.note(app, 'a')
          const { abort, failure: given } = abortable(nap, 'kill session')
          await sleeping(app)
          later.push(failureOf(Promise.resolve(speakers[0].note(app, 'b'))))
          abort()
          expect((await given).message).toBe('given up')
          await later[0]
          later.push(failureOf(Promise.resolve(speakers[1].note(app, 'c'))))
        }),
      )
      expect(failure).toMatchObject({ name: 'TransactionAbortedError' })
      expect(failure.cause).toBeInstanceOf(SessionKilledError)
      expect(ran).toEqual(['rolled-back'])
      expect((await later[1])?.name).toBe('TransactionClosedError')
      // the statement is told of it when the socket has closed
      await vi.waitFor(() =>
        expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select']),
      )
      await nextRequestWorks(app)
      expect(await app.rows()).toEqual(['next'])
    })
  })

  describe.each(worlds)('in $name', ({ outer, inner }) => {
    test.each([...STRATEGIES, 'ignore query' as const])(
      'by "%s" does not disturb the statement that it waits for',
      async (strategy) => {
        await whileLocked(app, (letGo) =>
          outer.block(app, async () => {
            await inner.block(app, async () => {
              await inner.note(app, 'a')
              const waiting = app.pool.query(LOCK)
              const { abort, failure } = abortable(sql`select 1`, strategy)
              await breathe()
              abort()
              expect((await failure).message).toBe('given up')
              await letGo()
              await waiting
            })
            await outer.note(app, 'b')
          }),
        )
        const waited = strategy === 'ignore query' ? ['select'] : []
        expect(app.transcript.lines()).toEqual([
          'begin',
          'savepoint sp1',
          'insert a',
          'select',
          ...waited,
          'release savepoint sp1',
          'insert b',
          'commit',
        ])
        expect(await app.rows()).toEqual(['a', 'b'])
      },
    )

    test.each(STRATEGIES)(
      'by "%s" does not disturb the nested block that it waits for',
      async (strategy) => {
        await whileLocked(app, (letGo) =>
          outer.block(app, async () => {
            const nested = inner.block(app, async () => {
              await inner.note(app, 'a')
              await app.pool.query(LOCK)
            })
            const { abort, failure } = abortable(sql`select 1`, strategy)
            await locked(app)
            abort()
            expect((await failure).message).toBe('given up')
            await letGo()
            await nested
          }),
        )
        expect(app.transcript.lines()).toEqual([
          'begin',
          'savepoint sp1',
          'insert a',
          'select',
          'commit',
        ])
        expect(await app.rows()).toEqual(['a'])
      },
    )
  })

  test.each(STRATEGIES)(
    'by "%s" does not cancel another statement that runs on the same handle',
    async (strategy) => {
      const failure = failureOf(
        app.db.transaction().execute(async (trx) => {
          const controller = new AbortController()
          const running = failureOf(nap.execute(trx))
          const waiting = failureOf(
            sql`select 1`.execute(trx, {
              signal: controller.signal,
              inflightQueryAbortStrategy: strategy,
            }),
          )
          await breathe()
          await sleeping(app)
          controller.abort(new Error('given up'))
          expect((await waiting).message).toBe('given up')
          await interruptSleep(app, 'pg_cancel_backend')
          throw await running
        }),
      )
      expect(await failure).toMatchObject({ code: '57014' })
      expect(app.transcript.lines()).toEqual(['begin', 'select', 'rollback'])
    },
  )

  test('is cancelled outside a transaction, too, and the client stays in use', async () => {
    const { abort, failure } = abortable(nap, 'cancel query')
    await sleeping(app)
    abort()
    expect((await failure).message).toBe('given up')
    await nextRequestWorks(app)
    expect(app.pool.totalCount).toBe(1)
  })

  test('that ends its session outside a transaction closes the client', async () => {
    const { abort, failure } = abortable(nap, 'kill session')
    await sleeping(app)
    abort()
    expect((await failure).message).toBe('given up')
    await nextRequestWorks(app)
  })

  test('gives up its wait for a client, which the next request gets', async () => {
    const client = await app.pool.connect()
    const { abort, failure } = abortable(sql`select 1`, 'cancel query')
    await breathe()
    abort()
    expect((await failure).message).toBe('given up')
    client.release()
    await nextRequestWorks(app)
  })
})

async function nextRequestWorks({ db, pool }: App): Promise<void> {
  await db.transaction().execute(() => speakers[1].note(app, 'next'))
  expect(pool.totalCount).toBe(1)
}
