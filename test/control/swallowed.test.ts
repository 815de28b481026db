import { TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })

const fail = (): Promise<Error> => failureOf(app.pool.query('select 1/0'))

describe.each(worlds)('$name: a swallowed error', ({ outer, inner }) => {
  test('in the outer block is found at COMMIT', async () => {
    const error = await failureOf(
      outer.block(app, async () => {
        await outer.note(app, 'a')
        await fail()
      }),
    )
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(error.cause).toMatchObject({ code: '22012' })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
  })

  test('in the nested block rejects that, and the outer one can go on', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const nested = inner.block(app, async () => {
        await inner.note(app, 'b')
        await fail()
      })
      expect(await failureOf(nested)).toBeInstanceOf(TransactionAbortedError)
      await outer.note(app, 'c')
    })
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
  })

  test('three deep, swallowed again outside, spares what was written before', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await inner.block(app, async () => {
        await inner.note(app, 'b')
        await failureOf(
          outer.block(app, async () => {
            await outer.note(app, 'c')
            await fail()
          }),
        )
        await inner.note(app, 'd')
      })
    })
    expect(await app.rows()).toEqual(['a', 'b', 'd'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('keeps a nested block from running at all', async () => {
    const ran: string[] = []
    const error = await failureOf(
      outer.block(app, async () => {
        await outer.note(app, 'a')
        await fail()
        const nested = inner.block(app, () => Promise.resolve(ran.push('nested')))
        expect(await failureOf(nested)).toBeInstanceOf(TransactionAbortedError)
      }),
    )
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(ran).toEqual([])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
  })
})

describe.each(speakers)('hooks of $name on a pool of one', (speaker) => {
  test('write and open blocks after the commit, on the client that was given back', async () => {
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.afterCommit(async () => {
        await speaker.note(app, 'statement')
        await speaker.block(app, () => app.orm.insert(notes).values({ text: 'block' }))
      })
    })
    expect(await app.rows()).toEqual(['a', 'statement', 'block'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'insert statement',
      'begin',
      'insert block',
      'commit',
    ])
  })

  test('a statement in a before-commit hook that is swallowed fails the commit', async () => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.beforeCommit(() => fail())
    })
    expect(await failureOf(failing)).toBeInstanceOf(TransactionAbortedError)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().slice(0, 3)).toEqual(['begin', 'insert a', 'select'])
  })
})
