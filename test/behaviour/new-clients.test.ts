import { drizzle } from 'drizzle-orm/node-postgres'
import { Pool } from 'pg'
import { shareConnection } from 'shared-connection'
import { expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'

const app = useApp({ pool: { max: 4, idleTimeoutMillis: 0 } })

/** Whether a listener of the pool runs in the scope of the transaction in which `fn` runs. */
async function scopesOf(
  event: 'connect' | 'acquire',
  fn: () => Promise<unknown>,
  { orm, pool, shared }: Pick<typeof app, 'orm' | 'pool' | 'shared'> = app,
): Promise<boolean[]> {
  const scopes: boolean[] = []
  const note = (): number => scopes.push(shared.inTransaction)
  await orm.transaction(async (tx) => {
    await tx.execute('select 1')
    pool.on(event, note)
    await fn()
    pool.off(event, note)
  })
  return scopes
}

const beside = ({ pool, shared }: Pick<typeof app, 'pool' | 'shared'> = app): Promise<unknown> =>
  shared.transaction(() => pool.query('select pg_sleep(0.01)'), { propagation: 'requires-new' })

test('a client that connects does not retain the scope of the code that it connects for', async () => {
  await app.pool.query('select 1')
  expect(app.pool.totalCount).toBe(1)
  expect(await scopesOf('connect', beside)).toEqual([false])
  expect(app.pool.totalCount).toBe(2)
})

test('a listener of the pool is not in the transaction of the code that requests a client', async () => {
  await Promise.all([app.pool.query('select 1'), app.pool.query('select 1')])
  expect(app.pool.idleCount).toBe(2)
  expect(await scopesOf('acquire', beside)).toEqual([false])
})

test('its statements are not rolled back with that transaction', async () => {
  let sent: Promise<unknown> | undefined
  const audit = (): void => {
    app.pool.off('acquire', audit)
    sent = app.orm.insert(notes).values({ text: 'audit' }).execute()
  }
  const failing = app.orm.transaction(async (tx) => {
    await tx.execute('select 1')
    app.pool.on('acquire', audit)
    await beside()
    await sent
    throw new Error('undo')
  })
  await expect(failing).rejects.toThrow('undo')
  expect(await app.rows()).toEqual(['audit'])
})

test('nor does a client of a pool that waits before it connects', async () => {
  const pool = new Pool({ connectionString: app.url, max: 6, idleTimeoutMillis: 0 })
  const connect: () => Promise<unknown> = pool.connect.bind(pool)
  const soon = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 5))
  Object.assign(pool, { connect: () => soon().then(connect) })
  const orm = drizzle({ client: pool })
  const shared = shareConnection(orm)
  const slow = { orm, pool, shared }
  try {
    await Promise.all([pool.query('select 1'), pool.query('select 1')])
    const asking = () => Promise.all([beside(slow), beside(slow), beside(slow)])
    expect(await scopesOf('connect', asking, slow)).toEqual([false, false])
  } finally {
    shared.dispose()
    await pool.end()
  }
})
