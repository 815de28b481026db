import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'

const app = useApp({ pool: { max: 1 } })
const boom = new Error('boom')

const kinds = ['afterCommit', 'afterRollback', 'afterCompletion'] as const

describe.each(worlds)('$name', ({ outer, inner }) => {
  test.each(kinds)(
    'an %s hook that hangs occupies no client: others use the only one',
    async (kind) => {
      const [running, goOn] = [gate(), gate()]
      let settled = false
      const hanging = outer
        .block(app, async () => {
          await outer.note(app, 'a')
          await app.shared[kind](async () => {
            running.open()
            await goOn.passed
          })
          if (kind === 'afterRollback') throw boom
        })
        .catch((error: unknown) => error)
        .finally(() => {
          settled = true
        })
      await running.passed
      expect([app.pool.totalCount, app.pool.idleCount]).toEqual([1, 1])
      await inner.block(app, () => inner.note(app, 'b'))
      await outer.note(app, 'c')
      const first = kind === 'afterRollback' ? [] : ['a']
      expect(await app.rows()).toEqual([...first, 'b', 'c'])
      // Only the call of the holder waits for the hook.
      expect(settled).toBe(false)
      goOn.open()
      const value = await hanging
      if (kind === 'afterRollback') expect(value).toBe(boom)
      else expect(value).not.toBeInstanceOf(Error)
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        kind === 'afterRollback' ? 'rollback' : 'commit',
        'begin',
        'insert b',
        'commit',
        'insert c',
      ])
    },
  )

  test('nested blocks in a hook are a new transaction with savepoints', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.shared.afterCommit(() =>
        inner.block(app, async () => {
          await inner.note(app, 'b')
          const nested = outer.block(app, async () => {
            await outer.note(app, 'c')
            await inner.block(app, () => inner.note(app, 'd'))
            throw boom
          })
          expect(await failureOf(nested)).toBe(boom)
          await outer.note(app, 'e')
        }),
      )
    })
    expect(await app.rows()).toEqual(['a', 'b', 'e'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert b',
      'savepoint sp1',
      'insert c',
      'savepoint sp2',
      'insert d',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert e',
      'commit',
    ])
  })

  test('siblings in a hook take turns, on the one client', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.shared.afterCommit(async () => {
        const blocks = [0, 1, 2].map((n) =>
          (n === 1 ? outer : inner).block(app, async () => {
            await outer.note(app, `${n}`)
            if (n === 1) throw boom
          }),
        )
        const settled = await Promise.allSettled(blocks)
        expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      })
    })
    expect((await app.rows()).toSorted()).toEqual(['0', '2', 'a'])
    expect(app.transcript.lines().filter((line) => line === 'begin')).toHaveLength(4)
  })
})

describe.each(speakers)('a hook of $name that hangs', (speaker) => {
  test('does not delay the hooks of other transactions', async () => {
    const [running, goOn] = [gate(), gate()]
    const ran: string[] = []
    const hanging = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.afterCommit(async () => {
        running.open()
        await goOn.passed
      })
      await app.shared.afterCommit(() => void ran.push('behind it'))
    })
    await running.passed
    await speaker.block(app, async () => {
      await speaker.note(app, 'b')
      await app.shared.afterCommit(() => void ran.push('of another'))
    })
    expect(ran).toEqual(['of another'])
    goOn.open()
    await hanging
    expect(ran).toEqual(['of another', 'behind it'])
    expect(await app.rows()).toEqual(['a', 'b'])
  })
})

test('the hook of a controlled transaction that hangs occupies no client either', async () => {
  const [running, goOn] = [gate(), gate()]
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  await trx.afterCommit(async () => {
    running.open()
    await goOn.passed
  })
  const hanging = trx.commit().execute()
  await running.passed
  await app.db.insertInto('note').values({ text: 'b' }).execute()
  goOn.open()
  await hanging
  expect(await app.rows()).toEqual(['a', 'b'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert b'])
})
