import { HookError } from 'shared-connection'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

// With one client, hooks can query only if the client is back in the pool before they run.
const app = useApp({ pool: { max: 1, connectionTimeoutMillis: 2000 } })

const boom = new Error('boom')

test('the hooks of a controlled transaction run before its commit resolves', async () => {
  const ran: string[] = []
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.beforeCommit(async () => {
    ran.push('before')
    await trx.insertInto('note').values({ text: 'late' }).execute()
  })
  await trx.afterCommit(async () => {
    await app.db.insertInto('note').values({ text: 'of the hook' }).execute()
    ran.push('after')
  })
  await trx.afterRollback(() => void ran.push('rollback'))
  await trx.afterCompletion((outcome) => void ran.push(outcome))
  await trx.commit().execute()
  ran.push('commit has resolved')
  expect(ran).toEqual(['before', 'after', 'committed', 'commit has resolved'])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'insert late',
    'commit',
    'insert of the hook',
  ])
  expect(await app.rows()).toEqual(['a', 'late', 'of the hook'])
})

test('its commit rejects with HookError, and the data stays', async () => {
  const ran: string[] = []
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.afterCommit(() => Promise.reject(boom))
  await trx.afterCommit(() => void ran.push('the other'))
  const error = await trx
    .commit()
    .execute()
    .catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(HookError)
  expect(error).toMatchObject({ outcome: 'committed', errors: [boom] })
  expect(ran).toEqual(['the other'])
  expect(app.pool.idleCount).toBe(1)
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a'])
})

test('its rollback hooks run before its rollback resolves', async () => {
  const ran: string[] = []
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.afterCommit(() => void ran.push('commit'))
  await trx.afterRollback(async () => {
    await app.db.insertInto('note').values({ text: 'of the hook' }).execute()
    ran.push('rollback')
  })
  await trx.afterCompletion((outcome) => void ran.push(outcome))
  await trx.rollback().execute()
  ran.push('rollback has resolved')
  expect(ran).toEqual(['rollback', 'rolled-back', 'rollback has resolved'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback', 'insert of the hook'])
  expect(await app.rows()).toEqual(['of the hook'])
})

test('its rollback rejects with the error of a rollback hook, since there is no other error', async () => {
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.afterRollback(() => Promise.reject(boom))
  const error = await trx
    .rollback()
    .execute()
    .catch((reason: unknown) => reason)
  expect(error).toMatchObject({ name: 'HookError', outcome: 'rolled-back', errors: [boom] })
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  expect(await app.rows()).toEqual([])
})

test('it is rolled back by a before-commit hook that throws', async () => {
  const ran: string[] = []
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.beforeCommit(() => Promise.reject(boom))
  await trx.afterCommit(() => void ran.push('commit'))
  await trx.afterRollback(() => void ran.push('rollback'))
  await expect(trx.commit().execute()).rejects.toBe(boom)
  expect(ran).toEqual(['rollback'])
  expect(app.pool.idleCount).toBe(1)
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  expect(await app.rows()).toEqual([])
})

test('it is not the ambient one, so global hooks are outside of it but for `on` and `within`', async () => {
  const ran: string[] = []
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await app.db.afterCommit(() => void ran.push('at once'))
  await app.db.afterCommit(() => void ran.push('on'), { on: trx })
  await app.shared.of(trx).afterCommit(() => void ran.push('of'))
  await app.shared.within(trx, () => app.db.afterCommit(() => void ran.push('within')))
  expect(ran).toEqual(['at once'])
  await trx.commit().execute()
  expect(ran).toEqual(['at once', 'on', 'of', 'within'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a'])
})

test('a hook after its savepoint belongs to the savepoint, and is dropped with it', async () => {
  const ran: string[] = []
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.afterCommit(() => void ran.push('1 transaction'))
  const marked = await trx.savepoint('mark').execute()
  await marked.insertInto('note').values({ text: 'b' }).execute()
  await marked.afterCommit(() => void ran.push('2 savepoint'))
  await marked.afterRollback(() => void ran.push('3 savepoint rollback'))
  await marked.afterCommit(() => void ran.push('4 transaction'), { scope: 'transaction' })
  await marked.rollbackToSavepoint('mark').execute()
  expect(ran).toEqual(['3 savepoint rollback'])
  await marked.afterCommit(() => void ran.push('5 savepoint, which is open still'))
  await marked.insertInto('note').values({ text: 'c' }).execute()
  await marked.releaseSavepoint('mark').execute()
  await trx.commit().execute()
  expect(ran).toEqual([
    '3 savepoint rollback',
    '1 transaction',
    '4 transaction',
    '5 savepoint, which is open still',
  ])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'savepoint "mark"',
    'insert b',
    'rollback to savepoint "mark"',
    'insert c',
    'commit',
  ])
  expect(await app.rows()).toEqual(['a', 'c'])
})

test('a block in it moves its hooks to it', async () => {
  const ran: string[] = []
  const trx = await app.db.startTransaction().execute()
  await app.shared.within(trx, () =>
    app.orm.transaction(async () => {
      await app.db.insertInto('note').values({ text: 'a' }).execute()
      await app.db.afterCommit(() => void ran.push('of the block'))
    }),
  )
  expect(ran).toEqual([])
  await trx.commit().execute()
  expect(ran).toEqual(['of the block'])
  expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a'])
})
