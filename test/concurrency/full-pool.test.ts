import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 2 }, shared: { turnTimeout: 200 } })

describe.each(speakers)('on a pool of two, transactions of $name', (speaker) => {
  test('that want one more client each, one after the other, get it', async () => {
    for (const n of [1, 2, 3]) {
      await speaker.block(app, async () => {
        await speaker.note(app, `outer ${n}`)
        await app.shared.transaction(() => speaker.note(app, `new ${n}`), {
          propagation: 'requires-new',
        })
      })
    }
    expect((await app.rows()).toSorted()).toEqual(
      [1, 2, 3].flatMap((n) => [`new ${n}`, `outer ${n}`]).toSorted(),
    )
    expect(app.transcript.lines()).toHaveLength(18)
    expect(app.pool.totalCount).toBe(2)
  })

  test('that each wait for one more client do not wait for ever', async () => {
    const both = [gate(), gate()]
    const results = await outcomes(
      both.map((own, n) =>
        speaker.block(app, async () => {
          await speaker.note(app, `outer ${n}`)
          own.open()
          await Promise.all(both.map(({ passed }) => passed))
          await app.shared.transaction(() => speaker.note(app, `new ${n}`), {
            propagation: 'requires-new',
          })
        }),
      ),
    )
    expect(results).not.toEqual(['fulfilled', 'fulfilled'])
    expect(app.transcript.lines().filter((line) => line === 'rollback').length).toBeGreaterThan(0)
    const rows = await app.rows()
    results.forEach((result, n) => {
      expect(rows.includes(`outer ${n}`)).toBe(result === 'fulfilled')
    })
  })
})

test(
  'a chain of three transactions in one request is refused its third client',
  { timeout: 3000 },
  async () => {
    const requiresNew = { propagation: 'requires-new' } as const
    const { shared } = app
    const results = await outcomes([
      app.orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        await shared.transaction(async (second) => {
          await second.tx.insert(notes).values({ text: 'b' })
          await shared.transaction(
            (third) => third.tx.insert(notes).values({ text: 'c' }),
            requiresNew,
          )
        }, requiresNew)
      }),
    ])
    expect(results).not.toEqual(['fulfilled'])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'begin',
      'insert b',
      'rollback',
      'rollback',
    ])
  },
)

describe('a pool of two', () => {
  const patient = useApp({ pool: { max: 2 }, shared: { turnTimeout: 1000 } })
  const note = (text: string) => patient.pool.query('insert into note (text) values ($1)', [text])

  test('a transaction that has given up its wait for a client is not counted as waiting', async () => {
    const go = gate()
    const first = patient.shared.transaction(async () => {
      await note('a')
      const failure = await failureOf(
        patient.shared.transaction(() => note('never'), {
          propagation: 'requires-new',
          timeout: 30,
        }),
      )
      expect(failure.name).toBe('TransactionTimeoutError')
      go.open()
      await setTimeout(100)
    })
    const second = patient.shared.transaction(async () => {
      await note('b')
      await go.passed
      // the first one is at work and will end: this wait is no deadlock
      await patient.shared.transaction(() => note('c'), { propagation: 'requires-new' })
    })
    const settled = await Promise.allSettled([first, second])
    expect(settled.map((one) => (one.status === 'rejected' ? one.reason : 'fulfilled'))).toEqual([
      'fulfilled',
      'fulfilled',
    ])
    expect(await patient.rows()).toEqual(expect.arrayContaining(['a', 'b', 'c']))
  })

  test(
    'is exhausted, too, if one wait began while the last client was still connecting',
    { timeout: 6000 },
    async () => {
      // no clients yet
      await Promise.all([1, 2].map(() => patient.pool.connect())).then((cs) =>
        cs.forEach((c) => c.release(true)),
      )
      const block = (name: string, ready: () => void, go: Promise<void>) =>
        patient.shared.transaction(async () => {
          ready()
          await note(name)
          await go
          await patient.shared.transaction(() => note(`${name}2`), { propagation: 'requires-new' })
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
        one.status === 'rejected' ? (one.reason as Error).name : 'fulfilled',
      )
      expect(names).toContain('PoolExhaustedError')
    },
  )
})
