import { describe, expect, test } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'

const one = useApp({ pool: { max: 2 }, shared: { name: 'one' } })
const two = useApp({ pool: { max: 2 }, shared: { name: 'two' } })
const boom = new Error('boom')

/** The statements that one database received. Each transcript has those of both. */
function linesOf(name: string): string[] {
  return one.transcript
    .events()
    .filter(({ database }) => database === name)
    .map(({ control, sql, parameters }) =>
      control === undefined ? `insert ${String(parameters[0])}` : sql,
    )
}

const note = (speaker: Speaker, app: App, text: string): Promise<unknown> =>
  Promise.resolve(speaker.note(app, text))

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a transaction of one database leaves that of the other alone, whichever fails', async () => {
    await outer.block(one, async () => {
      await note(outer, one, 'a')
      const failing = inner.block(two, async () => {
        await note(inner, two, 'x')
        await note(outer, one, 'b')
        throw boom
      })
      expect(await failureOf(failing)).toBe(boom)
      expect([one.shared.inTransaction, two.shared.inTransaction]).toEqual([true, false])
      await note(outer, one, 'c')
    })
    expect(await one.rows()).toEqual(['a', 'b', 'c'])
    expect(await two.rows()).toEqual([])
    expect(linesOf('one')).toEqual(['begin', 'insert a', 'insert b', 'insert c', 'commit'])
    expect(linesOf('two')).toEqual(['begin', 'insert x', 'rollback'])
  })

  test('a failure of the outer transaction does not affect the commit of the inner one', async () => {
    const failing = outer.block(one, async () => {
      await note(outer, one, 'a')
      await inner.block(two, () => note(inner, two, 'x'))
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    expect(await one.rows()).toEqual([])
    expect(await two.rows()).toEqual(['x'])
    expect(linesOf('one')).toEqual(['begin', 'insert a', 'rollback'])
    expect(linesOf('two')).toEqual(['begin', 'insert x', 'commit'])
  })

  test('interleaved blocks of both nest in their own database', async () => {
    await outer.block(one, () =>
      inner.block(two, async () => {
        await outer.block(one, async () => {
          await note(outer, one, 'a')
          await note(inner, two, 'x')
        })
        const failing = inner.block(two, async () => {
          await note(outer, one, 'b')
          await note(inner, two, 'y')
          throw boom
        })
        expect(await failureOf(failing)).toBe(boom)
      }),
    )
    expect(await one.rows()).toEqual(['a', 'b'])
    expect(await two.rows()).toEqual(['x'])
    expect(linesOf('one')).toEqual([
      'begin',
      'savepoint sp1',
      'insert a',
      'release savepoint sp1',
      'insert b',
      'commit',
    ])
    expect(linesOf('two')).toEqual([
      'begin',
      'insert x',
      'savepoint sp1',
      'insert y',
      'rollback to savepoint sp1',
      'commit',
    ])
  })

  test('blocks of both at once do not wait for one another', async () => {
    const gates = [gate(), gate()] as const
    const meet = (own: 0 | 1): Promise<void> => {
      gates[own].open()
      return gates[1 - own]?.passed as Promise<void>
    }
    const results = await outcomes([
      outer.block(one, async () => {
        await note(outer, one, 'a')
        await meet(0)
        throw boom
      }),
      inner.block(two, async () => {
        await note(inner, two, 'x')
        await meet(1)
      }),
    ])
    expect(results).toEqual(['boom', 'fulfilled'])
    expect(await one.rows()).toEqual([])
    expect(await two.rows()).toEqual(['x'])
    expect(linesOf('one')).toEqual(['begin', 'insert a', 'rollback'])
    expect(linesOf('two')).toEqual(['begin', 'insert x', 'commit'])
  })

  test('hooks wait for the transaction of their own database', async () => {
    const ran: string[] = []
    await outer.block(one, async () => {
      await note(outer, one, 'a')
      await inner.block(two, async () => {
        await note(inner, two, 'x')
        await one.shared.afterCommit(() => void ran.push('one'))
        await two.shared.afterCommit(() => note(inner, two, 'of the hook'))
      })
      expect(ran).toEqual([])
      expect(await two.rows()).toEqual(['x', 'of the hook'])
    })
    expect(ran).toEqual(['one'])
    expect(linesOf('one')).toEqual(['begin', 'insert a', 'commit'])
  })
})
