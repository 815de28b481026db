import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp()

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('has one list of hooks for both layers, in the order of registration', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.afterCommit(() => void ran.push('shared 1'))
      await app.db.afterCommit(() => void ran.push('kysely 2'))
      await app.shared.afterCompletion(() => void ran.push('completion 3'))
      await app.db.afterCommit(() => void ran.push('kysely 4'))
      await app.shared.afterCommit(() => void ran.push('shared 5'))
    })
    expect(ran).toEqual(['shared 1', 'kysely 2', 'completion 3', 'kysely 4', 'shared 5'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('runs rollback hooks in the order of registration, too', async () => {
    const ran: string[] = []
    const boom = new Error('boom')
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.afterRollback(() => void ran.push('kysely 1'))
        await app.shared.afterRollback(() => void ran.push('shared 2'))
        await app.db.afterCompletion(() => void ran.push('completion 3'))
        await app.db.afterRollback(() => void ran.push('kysely 4'))
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(ran).toEqual(['kysely 1', 'shared 2', 'completion 3', 'kysely 4'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('runs a function twice that was registered twice', async () => {
    let times = 0
    const hook = () => void times++
    await speaker.block(app, async () => {
      await app.db.afterCommit(hook)
      await app.db.afterCommit(hook)
    })
    expect(times).toBe(2)
    expect(app.transcript.lines()).toEqual([])
  })

  test('awaits each hook before the next, and the last before it resolves', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await app.db.afterCommit(async () => {
        ran.push('slow starts')
        await setTimeout(10)
        ran.push('slow ends')
      })
      await app.shared.afterCommit(async () => {
        await setTimeout(1)
        ran.push('quick')
      })
    })
    expect(ran).toEqual(['slow starts', 'slow ends', 'quick'])
    expect(app.transcript.lines()).toEqual([])
  })
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('hooks of a released frame are added to the list at the release', async () => {
    const ran: string[] = []
    const says = (what: string) => () => void ran.push(what)
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.db.afterCommit(says('1 outer'))
      await inner.block(app, async () => {
        await inner.note(app, 'b')
        await app.db.afterCommit(says('2 inner'))
        await app.db.afterCommit(says('3 inner, of the transaction'), { scope: 'transaction' })
        await app.db.afterCommit(says('4 outer, while the inner is open'), {
          scope: 'transaction',
        })
      })
      await app.db.afterCommit(says('5 outer'))
    })
    expect(ran).toEqual([
      '1 outer',
      '3 inner, of the transaction',
      '4 outer, while the inner is open',
      '2 inner',
      '5 outer',
    ])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('hooks of the transaction keep one order, wherever they are registered', async () => {
    const ran: string[] = []
    const wide = { scope: 'transaction' } as const
    await outer.block(app, async () => {
      await app.db.afterCommit(() => void ran.push('foo'), wide)
      await inner.block(app, async () => {
        await inner.note(app, 'a')
        await app.shared.afterCommit(() => void ran.push('bar'), wide)
      })
      await app.db.afterCommit(() => void ran.push('baz'), wide)
    })
    expect(ran).toEqual(['foo', 'bar', 'baz'])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('a rollback hook of a savepoint runs before those of the transaction', async () => {
    const ran: string[] = []
    const boom = new Error('boom')
    await expect(
      outer.block(app, async () => {
        await app.db.afterRollback(() => void ran.push('foo'))
        await inner
          .block(app, async () => {
            await inner.note(app, 'a')
            await app.db.afterRollback(() => void ran.push('bar'))
            throw boom
          })
          .catch(() => ran.push('the block has rejected'))
        await app.db.afterRollback(() => void ran.push('baz'))
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(ran).toEqual(['bar', 'the block has rejected', 'foo', 'baz'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert a',
      'rollback to savepoint sp1',
      'rollback',
    ])
    expect(await app.rows()).toEqual([])
  })
})
