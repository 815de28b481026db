import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { sql } from 'kysely'
import Cursor from 'pg-cursor'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { breathe, gate } from '../setup/gate.ts'
import { sleeping } from '../setup/sessions.ts'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const givenUp = new Error('given up')

// Kysely logs the result of an aborted statement, since nobody awaits it any more.
beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const hasSignals = inject('combination').kysely.version !== '0.28'

describe('shared.transaction() that a signal ends', () => {
  const app = useApp({ pool: { max: 1 }, shared: { turnTimeout: 3000 } })
  const note = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

  test('ends a statement that still runs after its block has failed', async () => {
    const controller = new AbortController()
    const boom = new Error('boom')
    const failed = gate()
    const failure = failureOf(
      app.shared.transaction(
        async () => {
          app.pool.query('select pg_sleep(600)').catch(() => {})
          await sleeping(app)
          failed.open()
          throw boom
        },
        { signal: controller.signal },
      ),
    )
    await failed.passed
    await breathe()
    controller.abort(givenUp)
    expect(await failure).toBe(boom)
  })

  test('while COMMIT waits behind a statement that nobody awaited rejects with the reason', async () => {
    const controller = new AbortController()
    const failure = failureOf(
      app.shared.transaction(
        async () => {
          await note('a')
          void app.pool.query('select pg_sleep(20)').catch(() => {})
        },
        { signal: controller.signal },
      ),
    )
    await sleeping(app)
    controller.abort(givenUp)
    expect(await failure).toBe(givenUp)
    expect(await app.rows()).toEqual([])
  })

  test.each([null, 'text', Object.freeze(new Error('frozen')), Object.freeze({}), 0, Symbol('s')])(
    'rejects with the reason, be it %s',
    async (reason) => {
      const controller = new AbortController()
      const work = app.shared
        .transaction(
          async () => {
            await app.shared.afterRollback(() => {})
            await note('a')
            await app.pool.query('select pg_sleep(20)')
          },
          { signal: controller.signal },
        )
        .then(
          () => 'kept',
          (error: unknown) => error,
        )
      await sleeping(app)
      controller.abort(reason)
      expect(await work).toBe(reason)
      expect(await app.rows()).toEqual([])
    },
  )
  test.skipIf(!hasSignals)(
    'rejects with the first reason if a statement of Kysely is aborted, too',
    { timeout: 20000 },
    async () => {
      for (const strategy of ['cancel query', 'kill session', 'ignore query'] as const) {
        for (let n = 0; n < 12; n++) {
          const block = new AbortController()
          const statement = new AbortController()
          const failure = app.shared
            .transaction(
              async () => {
                await note('a')
                await sql`select pg_sleep(20)`.execute(app.db, {
                  signal: statement.signal,
                  inflightQueryAbortStrategy: strategy,
                })
              },
              { signal: block.signal },
            )
            .catch((error: unknown) => error)
          await sleeping(app)
          const [one, other] = n % 2 === 0 ? [block, statement] : [statement, block]
          one.abort(givenUp)
          for (let k = 0; k < n >> 1; k++) await setImmediate()
          other.abort(new Error('other'))
          const error = (await failure) as Error
          if (n % 2 === 0) expect(error).toBe(givenUp)
          else expect(['given up', 'other']).toContain(error.message)
          await app.shared.transaction(() => app.pool.query('select 1'))
          expect(await app.rows()).toEqual([])
        }
      }
    },
  )

  test('between two pages of a stream rejects with the reason', { timeout: 20000 }, async () => {
    for (const more of Array(20).keys()) {
      const controller = new AbortController()
      const seen = { rows: 0 }
      const failure = app.shared
        .transaction(
          async () => {
            await note('a')
            const rows = sql<{ n: number }>`(select n from generate_series(1, 100000) n)`
            for await (const _ of app.db.selectFrom(rows.as('s')).selectAll().stream(5)) {
              seen.rows++
              if (seen.rows % 10 === 0) await app.orm.execute('select 1')
            }
          },
          { signal: controller.signal },
        )
        .catch((error: unknown) => error)
      while (seen.rows < 20 + more) await breathe()
      controller.abort(givenUp)
      expect(await failure).toBe(givenUp)
      await app.shared.transaction(() => app.pool.query('select 1'))
    }
  })

  test('inside withClient() rejects with the reason', async () => {
    const failure = await failureOf(
      app.shared.transaction(
        async () => {
          await note('a')
          await app.shared.withClient(async (client) => {
            await client.query('select pg_sleep(20)')
          })
        },
        { timeout: 50 },
      ),
    )
    expect(failure.name).toBe('TransactionTimeoutError')
    await note('next')
    expect(await app.rows()).toEqual(['next'])
  })

  test(
    'rejects two hundred flows with the reason of their one signal',
    { timeout: 20000 },
    async () => {
      const controller = new AbortController()
      const flows = Array.from({ length: 200 }, (_, i) =>
        app.shared
          .transaction(
            async () => {
              await app.shared.afterRollback(() => {
                throw new Error(`hook ${i}`)
              })
              await note(`f${i}`)
              await app.pool.query('select pg_sleep(20)')
            },
            { signal: controller.signal },
          )
          .catch((e: unknown) => e),
      )
      await sleeping(app)
      const reason = new Error('shutdown')
      controller.abort(reason)
      expect(new Set(await Promise.all(flows))).toEqual(new Set([reason]))
      expect(getEventListeners(controller.signal, 'abort')).toEqual([])
      await note('next')
      expect(await app.rows()).toEqual(['next'])
    },
  )

  test('leaves no timers behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length
    await note('warm')
    const before = timers()
    const controller = new AbortController()
    const failure = failureOf(
      app.shared.transaction(() => app.pool.query('select pg_sleep(20)'), {
        signal: controller.signal,
        timeout: 9999,
      }),
    )
    await sleeping(app)
    controller.abort(givenUp)
    await failure
    await setImmediate()
    expect(timers()).toBeLessThanOrEqual(before)
  })

  // the patience with the server is as long as that of the test
  test('between two pages of a foreign cursor ends at once', async () => {
    const failure = await failureOf(
      app.shared.transaction(
        async () => {
          await note('a')
          const cursor = app.pool.query(
            new Cursor('select n from generate_series(1, 1000) n'),
          ) as unknown as InstanceType<typeof Cursor>
          await cursor.read(10)
          await new Promise(() => {})
        },
        { timeout: 50 },
      ),
    )
    expect(failure.name).toBe('TransactionTimeoutError')
    await note('next')
    expect(await app.rows()).toEqual(['next'])
  })

  test('by its timeout says where it began', async () => {
    const error = await failureOf(
      app.shared.transaction(() => new Promise(() => {}), { timeout: 20 }),
    )
    expect(`${error.message}${error.stack}`).toMatch(/reason\.test/)
  })
})
