import { describe, expect, test } from 'vitest'
import { useFaultyApp } from '../faults/app.ts'
import { worlds } from '../setup/worlds.ts'
import { note } from '../setup/recorded-app.ts'

const { app, proxy, tripsOf } = useFaultyApp()

describe.each(worlds)('$name through a proxy', ({ outer, inner }) => {
  test('an empty transaction costs no round trip', async () => {
    expect(await tripsOf(() => outer.block(app, () => inner.block(app, async () => 0)))).toBe(0)
  })

  test('n statements cost n + 1 round trips', async () => {
    const trips = await tripsOf(() =>
      outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          await outer.block(app, () => inner.note(app, 'c'))
        })
        await outer.note(app, 'd')
      }),
    )
    expect(trips).toBe(5)
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('statements issued together cost 2 round trips', async () => {
    const trips = await tripsOf(() =>
      outer.block(app, () =>
        Promise.all([outer.note(app, 'a'), inner.note(app, 'b'), note(app, 'c')]),
      ),
    )
    expect(trips).toBe(2)
    expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'c'])
  })
})

test('a connection that is cut after the first answer rejects the whole pipeline', async () => {
  const { promise: settled, resolve } = Promise.withResolvers<string[]>()
  await app.pool.query('select 1')
  proxy.plan(
    'cut after',
    ({ side, type, text }) => side === 'backend' && type === 'C' && text.startsWith('INSERT'),
  )
  const error = await app.shared
    .transaction(async () => {
      const all = await Promise.allSettled(['a', 'b', 'c'].map((text) => note(app, text)))
      resolve(all.map(({ status }) => status))
    })
    .catch((reason: Error) => reason)
  expect(await settled).toEqual(['rejected', 'rejected', 'rejected'])
  expect(error).toMatchObject({ name: 'TransactionAbortedError' })
  await note(app, 'next')
  expect(await app.rows()).toEqual(['next'])
})
