import { TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()

const boom = new Error('boom')

/** Registers one hook of each kind. */
async function register(ran: string[]): Promise<void> {
  await app.db.beforeCommit(() => void ran.push('before'))
  await app.db.afterCommit(() => void ran.push('commit'))
  await app.db.afterRollback(() => void ran.push('rollback'))
  await app.db.afterCompletion((outcome) => void ran.push(outcome))
}

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('that a manual ROLLBACK has ended runs its rollback hooks once', async () => {
    const ran: string[] = []
    const result = speaker.block(app, async () => {
      await register(ran)
      await speaker.note(app, 'a')
      await app.pool.query('rollback')
    })
    await expect(result).rejects.toBeInstanceOf(TransactionAbortedError)
    expect(ran).toEqual(['rollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('whose COMMIT the server refuses runs its rollback hooks', async () => {
    const ran: string[] = []
    const result = speaker.block(app, async () => {
      await register(ran)
      await app.pool.query('set constraints all deferred')
      await app.pool.query("insert into reply (note_id, text) values (404, 'to nobody')")
    })
    const error: unknown = await result.catch((reason: unknown) => reason)
    expect(JSON.stringify([error, (error as Error).cause])).toContain('23503')
    expect(ran).toEqual(['before', 'rollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'set', 'insert', 'commit'])
    const { rows } = await app.observer.query('select * from reply')
    expect(rows).toEqual([])
  })

  test('waits for the promises of its hooks', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await app.db.afterCommit(async () => {
        await app.pool.query('select pg_sleep(0.02)')
        ran.push('hook')
      })
      await speaker.note(app, 'a')
    })
    ran.push('resolved')
    expect(ran).toEqual(['hook', 'resolved'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'select'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('does not run hooks of the other transactions that are open', async () => {
    const ran: string[] = []
    const run = (text: string, fails: boolean) =>
      speaker.block(app, async () => {
        await app.db.afterCommit(() => void ran.push(`commit ${text}`))
        await app.db.afterRollback(() => void ran.push(`rollback ${text}`))
        await speaker.note(app, text)
        if (fails) throw boom
      })
    await Promise.allSettled([run('a', false), run('b', true), run('c', false)])
    expect(ran.toSorted()).toEqual(['commit a', 'commit c', 'rollback b'])
    expect((await app.rows()).toSorted()).toEqual(['a', 'c'])
    expect(app.transcript.lines().filter((line) => line === 'commit')).toHaveLength(2)
  })
})

test('tx.rollback() of Drizzle runs rollback hooks', async () => {
  const ran: string[] = []
  const result = app.orm.transaction(async (tx) => {
    await register(ran)
    await tx.insert(notes).values({ text: 'a' })
    tx.rollback()
  })
  await expect(result).rejects.toThrow('Rollback')
  expect(ran).toEqual(['rollback', 'rolled-back'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  expect(await app.rows()).toEqual([])
})

test('the handle of a nested block of Drizzle has its own hooks', async () => {
  const ran: string[] = []
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await tx
      .transaction(async (nested) => {
        await nested.insert(notes).values({ text: 'b' })
        await app.shared.of(nested).afterRollback(() => void ran.push('nested'))
        await app.shared.of(tx).afterRollback(() => void ran.push('outer rollback'))
        await app.shared.of(tx).afterCommit(() => void ran.push('outer commit'))
        throw boom
      })
      .catch(() => {})
  })
  expect(ran).toEqual(['nested', 'outer commit'])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'savepoint sp1',
    'insert b',
    'rollback to savepoint sp1',
    'commit',
  ])
  expect(await app.rows()).toEqual(['a'])
})

test('a manual savepoint is a frame: hooks after it are dropped with it', async () => {
  const ran: string[] = []
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await app.pool.query('savepoint mine')
    await app.db.afterCommit(() => void ran.push('commit of the mark'))
    await app.db.afterRollback(() => void ran.push('rollback of the mark'))
    await tx.insert(notes).values({ text: 'b' })
    await app.pool.query('rollback to mine')
    expect(ran).toEqual(['rollback of the mark'])
    await app.db.afterCommit(() => void ran.push('second of the mark'))
    await app.pool.query('release mine')
    await tx.insert(notes).values({ text: 'c' })
  })
  expect(ran).toEqual(['rollback of the mark', 'second of the mark'])
  expect(await app.rows()).toEqual(['a', 'c'])
  expect(app.transcript.lines().filter((line) => line.startsWith('insert'))).toEqual([
    'insert a',
    'insert b',
    'insert c',
  ])
})

test('a controlled transaction in connection() has hooks, too', async () => {
  const ran: string[] = []
  await app.db.connection().execute(async (db) => {
    const trx = await db.startTransaction().execute()
    await trx.insertInto('note').values({ text: 'a' }).execute()
    await trx.afterCommit(() => void ran.push('commit'))
    await trx.commit().execute()
  })
  expect(ran).toEqual(['commit'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a'])
})

test('a block that supports a transaction, but has none, runs its hooks at once', async () => {
  const ran: string[] = []
  await app.shared.transaction(
    async () => {
      await app.db.afterCommit(() => void ran.push('at once'))
      ran.push('the block ends')
    },
    { propagation: 'supports' },
  )
  expect(ran).toEqual(['at once', 'the block ends'])
  expect(app.transcript.lines()).toEqual([])
})

test('a block that joins by its own propagation registers its hooks on the frame', async () => {
  const ran: string[] = []
  await app.orm.transaction(async (tx) => {
    await app.shared.transaction(() => app.db.afterCommit(() => void ran.push('commit')), {
      propagation: 'required',
    })
    ran.push('joined block has ended')
    await tx.insert(notes).values({ text: 'a' })
  })
  expect(ran).toEqual(['joined block has ended', 'commit'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  expect(await app.rows()).toEqual(['a'])
})
