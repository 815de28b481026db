import type { HookOptions } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { type App, notes, useApp } from '../setup/app.ts'

const app = useApp()

const boom = new Error('boom')

/** A kind of handle. */
interface Holder {
  readonly name: string
  readonly open: (app: App, fn: (handle: object) => Promise<unknown>) => Promise<unknown>
}

const holders: readonly Holder[] = [
  { name: 'tx of Drizzle', open: ({ orm }, fn) => orm.transaction((tx) => fn(tx)) },
  { name: 'trx of Kysely', open: ({ db }, fn) => db.transaction().execute((trx) => fn(trx)) },
  { name: 'tx of shared', open: ({ shared }, fn) => shared.transaction(({ tx }) => fn(tx)) },
  { name: 'trx of shared', open: ({ shared }, fn) => shared.transaction(({ trx }) => fn(trx)) },
]

const write = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

describe.each(holders)('{ on: $name }', ({ open }) => {
  test('is the frame of the handle, also from code outside it', async () => {
    const ran: string[] = []
    await open(app, async (on) => {
      await write('a')
      await app.shared.outside(async () => {
        await app.db.afterCommit(() => void ran.push('kysely'), { on })
        await app.shared.afterCommit(() => void ran.push('shared'), { on })
        await app.shared.of(on).afterCommit(() => void ran.push('of'))
      })
      ran.push('the block ends')
    })
    expect(ran).toEqual(['the block ends', 'kysely', 'shared', 'of'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('is the frame of the handle, though a nested one is open', async () => {
    const ran: string[] = []
    await open(app, async (on) => {
      await write('a')
      await app.shared
        .transaction(async () => {
          await write('b')
          await app.db.afterCommit(() => void ran.push('of the handle'), { on })
          await app.shared.of(on).afterCommit(() => void ran.push('of the handle too'))
          await app.db.afterCommit(() => void ran.push('of the ambient one'))
          throw boom
        })
        .catch(() => {})
    })
    expect(ran).toEqual(['of the handle', 'of the handle too'])
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

  test('of a nested block is its savepoint, unless the transaction is asked for', async () => {
    const ran: string[] = []
    const says = (what: string) => () => void ran.push(what)
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await open(app, async (on) => {
        await write('b')
        const wide: HookOptions = { on, scope: 'transaction' }
        await app.shared.outside(async () => {
          await app.db.afterCommit(says('commit'), { on })
          await app.db.afterRollback(says('rollback'), { on })
          await app.db.afterCommit(says('commit of the transaction'), wide)
          await app.db.afterRollback(says('rollback of the transaction'), wide)
        })
        throw boom
      }).catch(() => ran.push('the block has rejected'))
    })
    expect(ran).toEqual(['rollback', 'the block has rejected', 'commit of the transaction'])
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

  test('takes all four hooks', async () => {
    const ran: string[] = []
    await open(app, async (on) => {
      const frame = app.shared.of(on)
      await frame.afterRollback(() => void ran.push('rollback'))
      await frame.afterCompletion((outcome) => void ran.push(outcome))
      await frame.afterCommit(() => void ran.push('commit'))
      await frame.beforeCommit(() => void ran.push('before'))
      await write('a')
    })
    expect(ran).toEqual(['before', 'committed', 'commit'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })
})

describe('hooks on a trx', () => {
  test('belong to its frame, wherever they are called', async () => {
    const ran: string[] = []
    await app.db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'a' }).execute()
      await trx
        .transaction()
        .execute(async (inner) => {
          await inner.insertInto('note').values({ text: 'b' }).execute()
          await inner.afterCommit(() => void ran.push('inner'))
          await inner.afterRollback(() => void ran.push('inner rollback'))
          await trx.afterCommit(() => void ran.push('outer'))
          throw boom
        })
        .catch(() => {})
    })
    expect(ran).toEqual(['inner rollback', 'outer'])
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

  test('can be destructured', async () => {
    const ran: string[] = []
    await app.db.transaction().execute(async (trx) => {
      const { afterCommit, beforeCommit } = trx
      await app.shared.outside(async () => {
        await afterCommit(() => void ran.push('commit'))
        await beforeCommit(() => void ran.push('before'))
      })
      await trx.insertInto('note').values({ text: 'a' }).execute()
    })
    expect(ran).toEqual(['before', 'commit'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('are those of databases that are derived from it, too', async () => {
    const ran: string[] = []
    await app.db.transaction().execute(async (trx) => {
      await app.shared.outside(() =>
        trx.withSchema('public').afterCommit(() => void ran.push('commit')),
      )
      await trx.insertInto('note').values({ text: 'a' }).execute()
      ran.push('the block ends')
    })
    expect(ran).toEqual(['the block ends', 'commit'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test("of the other layer's handle are the same", async () => {
    const ran: string[] = []
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      const trx = app.shared.kyselyFor(tx)
      await app.shared.outside(() => trx.afterCommit(() => void ran.push('commit')))
      ran.push('the block ends')
    })
    expect(ran).toEqual(['the block ends', 'commit'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })
})
