import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

const app = useApp({ pool: { max: 4, idleTimeoutMillis: 0 } })

/** Whether the clients that connect while `fn` runs do so as code of a transaction. */
async function scopesOfNew(fn: () => Promise<unknown>): Promise<boolean[]> {
  const scopes: boolean[] = []
  const note = (): number => scopes.push(app.shared.inTransaction)
  app.pool.on('connect', note)
  try {
    await app.orm.transaction(fn)
  } finally {
    app.pool.off('connect', note)
  }
  return scopes
}

const beside = (): Promise<unknown> =>
  app.shared.transaction(() => app.pool.query('select pg_sleep(0.01)'), {
    propagation: 'requires-new',
  })

test('a client that connects keeps nothing of the code that it connects for', async () => {
  await app.pool.query('select 1')
  expect(app.pool.totalCount).toBe(1)
  expect(await scopesOfNew(beside)).toEqual([false])
  expect(app.pool.totalCount).toBe(2)
})

test('nor does one that connects since others were before its code at those that are idle', async () => {
  await Promise.all([app.pool.query('select 1'), app.pool.query('select 1')])
  expect(app.pool.idleCount).toBe(2)
  expect(await scopesOfNew(() => Promise.all([beside(), beside(), beside()]))).toEqual([
    false,
    false,
  ])
  expect(app.pool.totalCount).toBe(4)
})
