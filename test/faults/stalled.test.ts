import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { completes, sends } from '../faults/messages.ts'
import { FaultyProxy } from '../faults/proxy.ts'
import { breathe } from '../setup/gate.ts'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const given = new Error('given up')
const boom = new Error('boom')

describe.each([true, false])('stalled, lazy: %j', (lazy) => {
  const proxy = new FaultyProxy()
  const app = useApp({ pool: { max: 1 }, through: proxy, shared: { turnTimeout: 3000, lazy } })
  const note = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

  test('a ROLLBACK in flight is not cancelled, and the call rejects with the first error', async () => {
    await note('warm')
    const fault = proxy.plan('stall', sends('rollback'))
    const controller = new AbortController()
    const failure = failureOf(
      app.shared.transaction(
        async () => {
          await note('a')
          throw boom
        },
        { signal: controller.signal },
      ),
    )
    await fault.struck
    const before = proxy.connections
    controller.abort(given)
    await breathe()
    await setTimeout(100)
    const requests = proxy.connections - before
    fault.lift()
    expect(await failure).toBe(boom)
    expect(requests).toBe(0)
  })
})

describe('stalled, not lazy', () => {
  const proxy = new FaultyProxy()
  const app = useApp({
    pool: { max: 1 },
    through: proxy,
    shared: { turnTimeout: 3000, lazy: false },
  })
  const note = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

  test('a RELEASE in flight that succeeds does not affect the transaction around it', async () => {
    const fault = proxy.plan('stall', completes('RELEASE'))
    const controller = new AbortController()
    let nested: Promise<unknown> | undefined
    const work = app.shared.transaction(async () => {
      await note('a')
      nested = app.shared.transaction(() => note('b'), { signal: controller.signal })
      const [settled] = await Promise.allSettled([nested])
      await note('c')
      return settled?.status
    })
    work.catch(() => {})
    await fault.struck
    controller.abort(given)
    await setTimeout(50)
    fault.lift()
    const status = await work
    expect(await app.rows()).toEqual(status === 'fulfilled' ? ['a', 'b', 'c'] : ['a', 'c'])
  })

  test('BEGIN that is never answered is ended by the timeout', { timeout: 20000 }, async () => {
    await note('warm')
    const fault = proxy.plan('stall', sends('begin'))
    const failure = await Promise.race([
      failureOf(app.shared.transaction(() => note('a'), { timeout: 50 })),
      setTimeout(8000, undefined),
    ])
    fault.lift()
    expect(failure?.name).toBe('TransactionTimeoutError')
  })
})
