import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp()

const request = new AsyncLocalStorage<string>()
const boom = new Error('boom')

/** The surroundings of the calling code: the user's own context, and the place in the transaction. */
function surroundings(): unknown[] {
  return [request.getStore(), app.shared.inTransaction, app.db.inTransaction]
}

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('runs hooks in the async context of their registration', async () => {
    const seen: unknown[] = []
    await request.run('around', () =>
      speaker.block(app, async () => {
        await request.run('first', () => app.db.afterCommit(() => void seen.push(surroundings())))
        await request.run('second', () =>
          app.shared.afterCompletion(() => void seen.push(surroundings())),
        )
        await app.db.beforeCommit(() => void seen.push(surroundings()))
        await request.run('third', () => app.db.beforeCommit(() => void seen.push(surroundings())))
        await speaker.note(app, 'a')
      }),
    )
    expect(seen).toEqual([
      ['around', true, true],
      ['third', true, true],
      ['first', false, false],
      ['second', false, false],
    ])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('keeps that context through what a hook awaits', async () => {
    const seen: unknown[] = []
    await speaker.block(app, async () => {
      await request.run('registered', () =>
        app.db.afterCommit(async () => {
          await speaker.note(app, 'of the hook')
          seen.push(surroundings())
        }),
      )
      await speaker.note(app, 'a')
    })
    expect(seen).toEqual([['registered', false, false]])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert of the hook'])
    expect(await app.rows()).toEqual(['a', 'of the hook'])
  })

  test('runs hooks after a rollback outside itself', async () => {
    const seen: unknown[] = []
    await expect(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await request.run('registered', () =>
          app.db.afterRollback(async () => {
            seen.push(surroundings())
            await speaker.note(app, 'of the hook')
          }),
        )
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(seen).toEqual([['registered', false, false]])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback', 'insert of the hook'])
    expect(await app.rows()).toEqual(['of the hook'])
  })

  test('runs the query that a hook returns in the context of the hook', async () => {
    await speaker.block(app, async () => {
      await app.db.afterCommit(() => app.orm.insert(notes).values({ text: 'lazy' }))
      await speaker.note(app, 'a')
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert lazy'])
    expect(await app.rows()).toEqual(['a', 'lazy'])
  })

  test('does not leak its scope into the code after it', async () => {
    await request.run('caller', async () => {
      await speaker.block(app, async () => {
        await request.run('inside', () => app.db.afterCommit(() => {}))
      })
      expect(surroundings()).toEqual(['caller', false, false])
    })
    expect(app.transcript.lines()).toEqual([])
  })

  test('inside another runs its hooks in the scope where it was opened', async () => {
    const seen: unknown[] = []
    await expect(
      app.shared.transaction(async ({ frame }) => {
        await speaker.note(app, 'outer')
        await app.shared.transaction(
          async () => {
            await speaker.note(app, 'independent')
            await app.db.afterCommit(async () => {
              seen.push(app.shared.current?.id === frame.id)
              await speaker.note(app, 'of the hook, in the outer one')
            })
          },
          { propagation: 'requires-new' },
        )
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(seen).toEqual([true])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'begin',
      'insert independent',
      'commit',
      'insert of the hook, in the outer one',
      'rollback',
    ])
    expect(await app.rows()).toEqual(['independent'])
  })
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a hook after the rollback of a savepoint runs in the parent, before the block rejects', async () => {
    const seen: unknown[] = []
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const result = inner.block(app, async () => {
        await inner.note(app, 'b')
        await request.run('registered', () =>
          app.db.afterRollback(async () => {
            seen.push(surroundings(), app.shared.current?.depth)
            await outer.note(app, 'of the hook')
            seen.push('the hook has ended')
          }),
        )
        throw boom
      })
      await result.catch((error) => seen.push(error))
    })
    expect(seen).toEqual([['registered', true, true], 1, 'the hook has ended', boom])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert of the hook',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'of the hook'])
  })

  test('a hook that is registered there belongs to the parent', async () => {
    const ran: string[] = []
    await outer.block(app, async () => {
      await inner
        .block(app, async () => {
          await inner.note(app, 'b')
          await app.db.afterRollback(async () => {
            await app.db.afterCommit(() => void ran.push('registered by the rollback hook'))
            ran.push('rollback hook')
          })
          throw boom
        })
        .catch(() => {})
      ran.push('outer goes on')
      await outer.note(app, 'a')
    })
    expect(ran).toEqual(['rollback hook', 'outer goes on', 'registered by the rollback hook'])
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert b',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert a',
      'commit',
    ])
  })
})
