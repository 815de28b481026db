import { setTimeout } from 'node:timers/promises'
import { TransactionOutcomeUnknownError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { breathe, gate } from '../setup/gate.ts'
import { interruptSleep, sleeping } from '../setup/sessions.ts'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const reason = new Error('given up')
const boom = new Error('boom')

describe('shared.transaction() that is ended from outside', () => {
  const app = useApp({ pool: { max: 1 }, shared: { turnTimeout: 3000 } })
  const note = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

  test('while its rollback hooks run rejects with the first error, after the hooks', async () => {
    const controller = new AbortController()
    const hook = gate()
    const told: string[] = []
    const failure = failureOf(
      app.shared.transaction(
        async () => {
          await app.shared.afterRollback(async () => {
            told.push('began')
            await hook.passed
            told.push('ended')
          })
          await note('a')
          throw boom
        },
        { signal: controller.signal },
      ),
    ).then((error) => {
      told.push('rejected')
      return error
    })
    while (told.length === 0) await setTimeout(1)
    controller.abort(reason)
    await breathe()
    hook.open()
    expect(await failure).toBe(boom)
    expect(told).toEqual(['began', 'ended', 'rejected'])
  })

  test('while hooks of an unknown outcome run rejects with that outcome', async () => {
    const controller = new AbortController()
    const hook = gate()
    const told: string[] = []
    await app.observer.query(`
      create function nap2() returns trigger language plpgsql as $$
        begin perform pg_sleep(30); return null; end $$;
      create constraint trigger nap2 after insert on note deferrable initially deferred
        for each row when (new.text = 'slow') execute function nap2()`)
    const failure = failureOf(
      app.shared.transaction(
        async () => {
          await app.shared.afterCompletion(async (outcome) => {
            told.push(outcome)
            await hook.passed
          })
          await note('slow')
        },
        { signal: controller.signal },
      ),
    )
    await sleeping(app)
    await interruptSleep(app, 'pg_terminate_backend')
    while (told.length === 0) await setTimeout(1)
    expect(told).toEqual(['unknown'])
    controller.abort(reason)
    await breathe()
    hook.open()
    expect(await failure).toBeInstanceOf(TransactionOutcomeUnknownError)
  })

  test(
    'while its rollback hooks run never ends a session that another request uses',
    { timeout: 20000 },
    async () => {
      const failure = failureOf(
        app.shared.transaction(
          async () => {
            await app.shared.afterRollback(() => setTimeout(6000))
            await note('a')
            await new Promise(() => {})
          },
          { timeout: 50 },
        ),
      )
      await setTimeout(500)
      // another request on the same client
      await app.orm.transaction(async () => {
        await note('stranger')
        await setTimeout(6500)
        await note('stranger goes on')
      })
      await failure
      expect(await app.rows()).toEqual(['stranger', 'stranger goes on'])
    },
  )

  test('waits for its rollback hooks after a cancelled statement', async () => {
    const told: string[] = []
    await failureOf(
      app.shared.transaction(
        async () => {
          await app.shared.afterRollback(async () => {
            told.push('began')
            await setTimeout(200)
            told.push('ended')
          })
          await note('a')
          await app.pool.query('select pg_sleep(30)')
        },
        { timeout: 50 },
      ),
    )
    expect(told).toEqual(['began', 'ended'])
  })

  test(
    'in a savepoint whose rollback hooks are slow leaves the transaction around it alone',
    { timeout: 20000 },
    async () => {
      let outerError: unknown
      await app.shared
        .transaction(async () => {
          await note('a')
          await failureOf(
            app.shared.transaction(
              async () => {
                await app.shared.afterRollback(() => app.pool.query('select pg_sleep(5.5)'))
                await note('b')
                await new Promise(() => {})
              },
              { timeout: 30 },
            ),
          )
          await note('c')
        })
        .catch((e: unknown) => (outerError = e))
      expect(outerError).toBeUndefined()
      expect(await app.rows()).toEqual(['a', 'c'])
    },
  )

  test('in a joined block sends nothing any more, and nobody waits for its callback', async () => {
    const late = gate()
    let tried: Promise<unknown> | undefined
    const failure = await failureOf(
      app.shared.transaction(async () => {
        await note('a')
        const inner = await failureOf(
          app.shared.transaction(
            async () => {
              await late.passed
              tried = note('late').then(
                () => 'sent',
                (error: Error) => error.name,
              )
              await tried
              await new Promise(() => {})
            },
            { propagation: 'required', timeout: 30 },
          ),
        )
        expect(inner.name).toBe('TransactionTimeoutError')
        late.open()
        await breathe()
      }),
    )
    expect(await tried).toBe('TransactionClosedError')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(failure.name).toBe('RollbackOnlyError')
  })
})

describe('shared.transaction() that is ended from outside, not lazy,', () => {
  const app = useApp({ pool: { max: 1 }, shared: { lazy: false, turnTimeout: 3000 } })
  test('while its SAVEPOINT waits behind a statement of its parent does not wait for that', async () => {
    const ended: string[] = []
    await failureOf(
      app.shared.transaction(async () => {
        const nap = app.pool.query('select pg_sleep(2)').then(() => ended.push('parent'))
        await failureOf(app.shared.transaction(() => app.pool.query('select 1'), { timeout: 50 }))
        ended.push('nested')
        await nap
        throw boom
      }),
    )
    expect(ended).toEqual(['nested', 'parent'])
  })
})
