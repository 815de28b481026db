import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { breathe } from '../setup/gate.ts'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const CONFLICT = `do $$ begin raise exception 'x' using errcode = '40001'; end $$`

describe('options of shared.transaction()', () => {
  const app = useApp({ pool: { max: 1 } })

  test.each([
    { timeout: '50' },
    { timeout: 5n },
    { retry: [] },
    { retry: { limit: '3' } },
    { timeout: true },
    { timeout: [5] },
  ])('%o is refused', async (options) => {
    const failure = await failureOf(app.shared.transaction(async () => {}, options as never))
    expect(failure.name).toBe('InvalidArgumentError')
  })

  test('timeout limits all attempts of retry together', async () => {
    let tries = 0
    const failure = await failureOf(
      app.shared.transaction(
        async () => {
          tries++
          await app.pool.query(CONFLICT)
        },
        { timeout: 1000, retry: { limit: 1e6, delay: 5, maxDelay: 10 } },
      ),
    )
    expect(failure.name).toBe('TransactionTimeoutError')
    expect(tries).toBeGreaterThan(2)
    const then = tries
    await setTimeout(100)
    expect(tries).toBe(then)
  })

  test('an error of onRetry does not replace the conflict', async () => {
    const failure = await failureOf(
      app.shared.transaction(() => app.pool.query(CONFLICT), {
        retry: {
          onRetry: () => {
            throw new Error('hook')
          },
        },
      }),
    )
    // the first error is the error
    expect(failure).toMatchObject({ code: '40001' })
  })

  test('signal ends retry with its reason, whenever it is aborted', async () => {
    for (let n = 0; n < 30; n++) {
      const controller = new AbortController()
      const reason = new Error('given up')
      const failure = app.shared
        .transaction(() => app.pool.query(CONFLICT), {
          signal: controller.signal,
          retry: { limit: 1e5, delay: 1, maxDelay: 1, onRetry: () => breathe() },
        })
        .catch((e: unknown) => e)
      await setTimeout(n / 4)
      controller.abort(reason)
      expect(await failure).toBe(reason)
    }
  })

  test('retry ends with an error that is its own cause', async () => {
    const error = new Error('a cycle')
    error.cause = error
    const failing = () => {
      throw error
    }
    expect(await failureOf(app.shared.transaction(failing, { retry: 1 }))).toBe(error)
  })
})

describe('a transaction that holds BEGIN back', () => {
  const app = useApp({ pool: { max: 1 }, shared: { lazy: true } })

  // Doubling a number 1,024 times makes it infinite, and infinity times no pause is no number.
  test('retry without a pause can go on for long', async () => {
    let tries = 0
    await app.shared.transaction(
      () => {
        if (++tries <= 1030) throw Object.assign(new Error('x'), { code: '40001' })
      },
      { retry: { limit: 2000, delay: 0 } },
    )
    expect(tries).toBe(1031)
    expect(app.transcript.lines()).toEqual([])
  })
})
