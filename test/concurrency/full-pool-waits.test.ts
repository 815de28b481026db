import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { gate } from '../setup/gate.ts'

describe('a pool of two', () => {
  const app = useApp({ pool: { max: 2 }, shared: { turnTimeout: 1000 } })
  const note = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

  test('a transaction that has given up its wait for a client is not counted as waiting', async () => {
    const go = gate()
    const first = app.shared.transaction(async () => {
      await note('a')
      const failure = await failureOf(
        app.shared.transaction(() => note('never'), { propagation: 'requires-new', timeout: 30 }),
      )
      expect(failure.name).toBe('TransactionTimeoutError')
      go.open()
      await setTimeout(100)
    })
    const second = app.shared.transaction(async () => {
      await note('b')
      await go.passed
      // the first one is at work and will end: this wait is no deadlock
      await app.shared.transaction(() => note('c'), { propagation: 'requires-new' })
    })
    const settled = await Promise.allSettled([first, second])
    expect(settled.map((one) => (one.status === 'rejected' ? one.reason : 'kept'))).toEqual([
      'kept',
      'kept',
    ])
    expect(await app.rows()).toEqual(expect.arrayContaining(['a', 'b', 'c']))
  })

  test(
    'is exhausted too where one wait began before the last client had come',
    { timeout: 6000 },
    async () => {
      // no clients yet
      await Promise.all([1, 2].map(() => app.pool.connect())).then((cs) =>
        cs.forEach((c) => c.release(true)),
      )
      const block = (name: string, ready: () => void, go: Promise<void>) =>
        app.shared.transaction(async () => {
          ready()
          await note(name)
          await go
          await app.shared.transaction(() => note(`${name}2`), { propagation: 'requires-new' })
        })
      const aHasClient = gate()
      const first = block(
        'a',
        () => aHasClient.open(),
        Promise.resolve().then(() => asked),
      )
      let ask = (): void => {}
      const asked = new Promise<void>((resolve) => (ask = resolve))
      await aHasClient.passed
      await setTimeout(50)
      const second = block('b', () => {}, Promise.resolve())
      ask() // the first asks for one more while the client of the second is being connected
      const settled = await Promise.race([
        Promise.allSettled([first, second]),
        setTimeout(4000, 'both wait for ever'),
      ])
      expect(settled).not.toBe('both wait for ever')
      const names = (settled as PromiseSettledResult<unknown>[]).map((one) =>
        one.status === 'rejected' ? (one.reason as Error).name : 'kept',
      )
      expect(names).toContain('PoolExhaustedError')
    },
  )
})
