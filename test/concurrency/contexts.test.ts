import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout } from 'node:timers/promises'
import { CHANNELS, type QueryEvent } from 'shared-connection'
import { beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

const app = useApp({ pool: { max: 1 } })
const store = new AsyncLocalStorage<string>()
const slow = () => app.pool.query('select pg_sleep(0.02)')

// A client calls back in the context in which its socket was opened.
beforeEach(() => store.run('another request', () => app.pool.query('select 1')))

const inRequest = <T>(fn: () => Promise<T>): Promise<T> =>
  store.run('request', () => app.shared.transaction(fn))

describe('code of a request whose statement waits for another', () => {
  test('in withClient() runs in the context of the request', async () => {
    const seen = await inRequest(async () => {
      const busy = slow()
      const held = app.shared.withClient(() => store.getStore())
      await busy
      return held
    })
    expect(seen).toBe('request')
  })

  test('that serialises a value runs in the context of the request', async () => {
    const seen: unknown[] = []
    const value = { toPostgres: () => String(seen.push(store.getStore())) }
    await inRequest(async () => {
      const busy = slow()
      await setTimeout(5)
      await Promise.all([busy, app.pool.query('select $1::text', [value])])
    })
    expect(seen).toEqual(['request'])
  })

  test('is reported to subscribers in the context of the request', async () => {
    const seen: unknown[] = []
    const onStart = (event: unknown): void => {
      const { control, piggybacked } = event as QueryEvent
      if (control === 'savepoint' && piggybacked) seen.push(store.getStore())
    }
    subscribe(`tracing:${CHANNELS.query}:start`, onStart)
    await inRequest(async () => {
      const busy = slow()
      await setTimeout(5)
      const nested = app.shared.transaction(() => app.pool.query('select 1'))
      await Promise.all([busy, nested])
    })
    unsubscribe(`tracing:${CHANNELS.query}:start`, onStart)
    expect(seen).toEqual(['request'])
  })
})

test("statements of Kysely's trx are sent in the order of their calls", async () => {
  for (let ticks = 0; ticks < 25; ticks++) {
    const texts = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${ticks} ${letter}`)
    await app.db.transaction().execute(async (trx) => {
      const add = (text: string) => trx.insertInto('note').values({ text }).execute()
      const early = texts.slice(0, 3).map(add)
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
      await Promise.all([...early, ...texts.slice(3).map(add)])
    })
    expect((await app.rows()).slice(-5)).toEqual(texts)
  }
})

test('a manual RELEASE waits for a block inside that uses the outer handle', async () => {
  const trx = await app.db.startTransaction().execute()
  const marked = await trx.savepoint('a').execute()
  const block = app.shared.within(trx, () =>
    app.orm.transaction(async () => {
      await slow()
      await trx.insertInto('note').values({ text: 'a' }).execute()
    }),
  )
  await setTimeout(5)
  await Promise.all([block, marked.releaseSavepoint('a').execute()])
  await trx.commit().execute()
  expect(await app.rows()).toEqual(['a'])
})
