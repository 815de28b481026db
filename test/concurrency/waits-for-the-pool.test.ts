import { PoolExhaustedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp({ pool: { max: 3, connectionTimeoutMillis: 2000 } })
const requiresNew = { propagation: 'requires-new' } as const

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('transactions that hold all clients and each want one more: one is refused, the others get it', async () => {
    const numbers = [0, 1, 2]
    const gates = numbers.map(() => gate())
    const all = Promise.all(gates.map(({ passed }) => passed))
    const errors: Error[] = []
    const results = await outcomes(
      numbers.map((n) =>
        outer.block(app, async () => {
          await outer.note(app, `outer ${n}`)
          gates[n]?.open()
          await all
          await app.shared
            .transaction(() => inner.note(app, `new ${n}`), requiresNew)
            .catch((error: unknown) => {
              errors.push(error as Error)
              throw error
            })
        }),
      ),
    )
    expect(errors.length).toBeGreaterThan(0)
    for (const error of errors) {
      expect(error).toBeInstanceOf(PoolExhaustedError)
      // the place of the request, and the places of the transactions that hold all clients
      const places = error.message.match(/waits-for-the-pool\.test\.ts/g) ?? []
      expect(places.length).toBeGreaterThanOrEqual(4)
    }
    expect(results.filter((result) => result === 'fulfilled')).toHaveLength(3 - errors.length)
    const kept = numbers.filter((n) => results[n] === 'fulfilled')
    expect((await app.rows()).toSorted()).toEqual(
      kept.flatMap((n) => [`new ${n}`, `outer ${n}`]).toSorted(),
    )
    expect(app.pool.totalCount).toBeLessThanOrEqual(3)
  })

  test('a wait for a client that code outside transactions holds is not refused', async () => {
    const clients = await Promise.all([app.pool.connect(), app.pool.connect()])
    await outer.block(app, async () => {
      await outer.note(app, 'outer')
      const own = app.shared.transaction(() => inner.note(app, 'new'), requiresNew)
      await clients[0].query('select 1')
      clients[0].release()
      await own
    })
    clients[1].release()
    expect((await app.rows()).toSorted()).toEqual(['new', 'outer'])
  })

  test('a wait of outside code that the transaction awaits ends by the timeout of the pool', async () => {
    const clients = await Promise.all([app.pool.connect(), app.pool.connect()])
    const begun = gate()
    // it is outside, so nothing shows that the transaction waits for it
    const other = failureOf(begun.passed.then(() => inner.block(app, () => inner.note(app, 'x'))))
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      // a short one, now that no client has to be opened in that time
      app.pool.options.connectionTimeoutMillis = 200
      begun.open()
      expect((await other).message).toContain('timeout')
      app.pool.options.connectionTimeoutMillis = 2000
      await outer.note(app, 'b')
    })
    for (const client of clients) client.release()
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  })
})
