import { TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp()

const boom = new Error('boom')

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('runs before-commit hooks inside itself, just before COMMIT', async () => {
    const seen: unknown[] = []
    await speaker.block(app, async () => {
      await app.db.beforeCommit(async () => {
        seen.push(app.shared.inTransaction, app.shared.current?.depth)
        await app.orm.insert(notes).values({ text: 'late drizzle' })
        await app.db.insertInto('note').values({ text: 'late kysely' }).execute()
        expect(await app.rows()).toEqual([])
      })
      await app.db.afterCommit(async () => void seen.push(await app.rows()))
      await speaker.note(app, 'a')
    })
    expect(seen).toEqual([true, 1, ['a', 'late drizzle', 'late kysely']])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'insert late drizzle',
      'insert late kysely',
      'commit',
    ])
  })

  test('is begun by a before-commit hook that writes, if nothing else was sent', async () => {
    await speaker.block(app, async () => {
      await app.db.beforeCommit(() => speaker.note(app, 'late'))
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert late', 'commit'])
    expect(await app.rows()).toEqual(['late'])
  })

  test('is rolled back by a before-commit hook that throws, and rejects with its error', async () => {
    const ran: string[] = []
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.afterCommit(() => void ran.push('afterCommit'))
        await app.db.afterRollback(() => void ran.push('afterRollback'))
        await app.db.afterCompletion((outcome) => void ran.push(outcome))
        await app.db.beforeCommit(() => {
          ran.push('beforeCommit')
          throw boom
        })
      }),
    ).rejects.toBe(boom)
    expect(ran).toEqual(['beforeCommit', 'afterRollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('is aborted by a statement that fails in a before-commit hook', async () => {
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.beforeCommit(async () => {
          await speaker.note(app, 'a').catch(() => {})
        })
      }),
    ).rejects.toBeInstanceOf(TransactionAbortedError)
    expect(app.transcript.lines().slice(0, 3)).toEqual(['begin', 'insert a', 'insert a'])
    expect(await app.rows()).toEqual([])
  })

  test('runs no before-commit hook when it is rolled back', async () => {
    let ran = false
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.db.beforeCommit(() => void (ran = true))
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(ran).toBe(false)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('rejects with the swallowed error, not with that of a before-commit hook that failed because of it', async () => {
    const result = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.db.beforeCommit(() => speaker.note(app, 'late'))
      await app.pool.query('select 1 / 0').catch(() => {})
    })
    const error = await result.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(error).toHaveProperty('cause.message', 'division by zero')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().slice(0, 3)).toEqual(['begin', 'insert a', 'select'])
  })

  test('runs hooks that a before-commit hook registers', async () => {
    const ran: string[] = []
    await speaker.block(app, async () => {
      await app.db.beforeCommit(async () => {
        ran.push('first')
        await app.db.beforeCommit(() => void ran.push('registered by the first'))
        await app.db.afterCommit(() => void ran.push('after'))
      })
      await app.db.beforeCommit(() => void ran.push('second'))
      await speaker.note(app, 'a')
    })
    expect(ran).toEqual(['first', 'second', 'registered by the first', 'after'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a before-commit hook of a released savepoint runs in the outermost frame', async () => {
    const depths: unknown[] = []
    await outer.block(app, async () => {
      await inner.block(app, async () => {
        await inner.note(app, 'a')
        await app.db.beforeCommit(async () => {
          depths.push(app.shared.current?.depth)
          await inner.note(app, 'late')
        })
      })
      depths.push('released')
      await outer.note(app, 'b')
    })
    expect(depths).toEqual(['released', 1])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert a',
      'release savepoint sp1',
      'insert b',
      'insert late',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'b', 'late'])
  })

  test('a before-commit hook is dropped with its savepoint', async () => {
    const ran: string[] = []
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await expect(
        inner.block(app, async () => {
          await inner.note(app, 'b')
          await app.db.beforeCommit(() => void ran.push('of the savepoint'))
          await app.db.beforeCommit(() => void ran.push('of the transaction'), {
            scope: 'transaction',
          })
          throw boom
        }),
      ).rejects.toBe(boom)
    })
    expect(ran).toEqual(['of the transaction'])
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

  test('a before-commit hook can open a block of its own', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.db.beforeCommit(async () => {
        await inner.block(app, () => inner.note(app, 'kept'))
        await expect(
          inner.block(app, async () => {
            await inner.note(app, 'dropped')
            throw boom
          }),
        ).rejects.toBe(boom)
      })
    })
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert kept',
      'release savepoint sp1',
      'savepoint sp1',
      'insert dropped',
      'rollback to savepoint sp1',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'kept'])
  })
})

describe.each(speakers)('in a transaction of $name', (speaker) => {
  test('a statement in a before-commit hook that is swallowed fails the commit', async () => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.beforeCommit(() => failureOf(app.pool.query('select 1/0')))
    })
    expect(await failureOf(failing)).toBeInstanceOf(TransactionAbortedError)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().slice(0, 3)).toEqual(['begin', 'insert a', 'select'])
  })
})
