import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers, worlds } from '../setup/worlds.ts'

// The only client must be back in the pool before a hook runs, or the hook would wait for ever.
const app = useApp({ pool: { max: 1, connectionTimeoutMillis: 2000 } })

const boom = new Error('boom')

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a hook can query, even if the pool has one client', async () => {
    let idle: number | undefined
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.db.afterCommit(async () => {
        idle = app.pool.idleCount
        await inner.note(app, 'of the hook')
      })
    })
    expect(idle).toBe(1)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert of the hook'])
    expect(await app.rows()).toEqual(['a', 'of the hook'])
  })

  test('a transaction in a hook is a new one', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.db.afterCommit(() =>
        inner.block(app, async () => {
          expect(app.shared.current?.depth).toBe(1)
          await inner.note(app, 'of the hook')
        }),
      )
    })
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert of the hook',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'of the hook'])
  })

  test('a transaction in a rollback hook is a new one', async () => {
    await expect(
      outer.block(app, async () => {
        await outer.note(app, 'a')
        await app.db.afterRollback(() => inner.block(app, () => inner.note(app, 'of the hook')))
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'rollback',
      'begin',
      'insert of the hook',
      'commit',
    ])
    expect(await app.rows()).toEqual(['of the hook'])
  })

  test('a transaction in a hook has its own hooks, which run before the next hook', async () => {
    const ran: string[] = []
    await outer.block(app, async () => {
      await app.db.afterCommit(async () => {
        ran.push('1 starts')
        await inner.block(app, async () => {
          await app.db.afterCommit(() => void ran.push('of the inner transaction'))
          await inner.note(app, 'of the hook')
        })
        ran.push('1 ends')
      })
      await app.db.afterCommit(() => void ran.push('2'))
      await outer.note(app, 'a')
    })
    expect(ran).toEqual(['1 starts', 'of the inner transaction', '1 ends', '2'])
    expect(await app.rows()).toEqual(['a', 'of the hook'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert of the hook',
      'commit',
    ])
  })
})

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('runs a hook that an after-commit hook registers at once, before the remaining hooks', async () => {
    const ran: number[] = []
    await speaker.block(app, async () => {
      await app.db.afterCommit(async () => {
        ran.push(1)
        await app.db.afterCommit(() => void ran.push(2))
        await app.db.afterRollback(() => void ran.push(-1))
      })
      await app.db.afterCommit(() => void ran.push(3))
      await speaker.note(app, 'a')
    })
    expect(ran).toEqual([1, 2, 3])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('runs hooks once, whatever else ends after it', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await speaker.block(app, async () => {
        await app.db.afterCommit(() => void ran.push('commit'))
        await app.db.afterCompletion(() => void ran.push('completion'))
        await speaker.note(app, 'a')
      })
    })
    await speaker.block(app, () => speaker.note(app, 'b'))
    await expect(
      speaker.block(app, async () => {
        await speaker
          .block(app, async () => {
            await speaker.note(app, 'x')
            await app.db.afterRollback(() => void ran.push('rollback'))
            throw boom
          })
          .catch(() => {})
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(ran).toEqual(['commit', 'completion', 'rollback'])
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert a',
      'commit',
      'begin',
      'insert b',
      'commit',
      'begin',
      'savepoint sp1',
      'insert x',
      'rollback to savepoint sp1',
      'rollback',
    ])
  })

  test('that sent nothing is committed, and runs its hooks', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await app.db.afterCommit(() => void ran.push('commit'))
      await app.db.afterRollback(() => void ran.push('rollback'))
      await app.db.afterCompletion((outcome) => void ran.push(outcome))
    })
    expect(ran).toEqual(['commit', 'committed'])
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })
})
