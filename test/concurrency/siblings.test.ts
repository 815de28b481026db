import { setImmediate } from 'node:timers/promises'
import { TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'
import { type Speaker, speakers, worlds } from '../setup/worlds.ts'
import { inOrder, savepointsOf } from './savepoints.ts'

const app = useApp()
const boom = new Error('boom')

/** A block of two notes with a pause between them, in which a careless sibling would interfere. */
function block(speaker: Speaker, name: string, error?: Error): Promise<unknown> {
  return speaker.block(app, async () => {
    await speaker.note(app, `${name}1`)
    await setImmediate()
    await speaker.note(app, `${name}2`)
    if (error !== undefined) throw error
  })
}

describe.each(speakers)('in a transaction of $name', (parent) => {
  describe.each(worlds)('siblings of $outer.name and $inner.name', ({ outer: one, inner: two }) => {
    test('stay apart under allSettled() when the first fails', async () => {
      await parent.block(app, async () => {
        expect(await outcomes([block(one, 'a', boom), block(two, 'b')])).toEqual([
          'boom',
          'fulfilled',
        ])
        await parent.note(app, 'p')
      })
      expect(await app.rows()).toEqual(['b1', 'b2', 'p'])
      const lines = app.transcript.lines()
      expect(inOrder(savepointsOf(lines))).toEqual([
        ['insert a1', 'insert a2', 'rollback'],
        ['insert b1', 'insert b2'],
      ])
      expect(lines.filter((line) => line.startsWith('begin'))).toEqual(['begin'])
      expect(lines.slice(-2)).toEqual(['insert p', 'commit'])
    })

    test('stay apart under allSettled() when the second fails', async () => {
      await parent.block(app, async () => {
        expect(await outcomes([block(one, 'a'), block(two, 'b', boom)])).toEqual([
          'fulfilled',
          'boom',
        ])
      })
      expect(await app.rows()).toEqual(['a1', 'a2'])
      const blocks = inOrder(savepointsOf(app.transcript.lines()))
      expect(blocks).toEqual([
        ['insert a1', 'insert a2'],
        ['insert b1', 'insert b2', 'rollback'],
      ])
      expect(app.transcript.lines().at(-1)).toBe('commit')
    })

    test('are both rolled back when one fails under all() and nobody catches it', async () => {
      const started: Promise<unknown>[] = []
      const failing = parent.block(app, async () => {
        started.push(block(one, 'a', boom), block(two, 'b'))
        await Promise.all(started)
      })
      await expect(failing).rejects.toBe(boom)
      await outcomes(started)
      expect(await app.rows()).toEqual([])
      const lines = app.transcript.lines()
      expect(lines.filter((line) => line === 'rollback')).toHaveLength(1)
      expect(lines.at(-1)).toBe('rollback')
    })

    test('are both committed when the parent awaits only the winner of their race', async () => {
      const started: Promise<unknown>[] = []
      await parent.block(app, async () => {
        started.push(block(one, 'a'), block(two, 'b'))
        await Promise.race(started)
      })
      expect(await outcomes(started)).toEqual(['fulfilled', 'fulfilled'])
      expect((await app.rows()).toSorted()).toEqual(['a1', 'a2', 'b1', 'b2'])
      expect(inOrder(savepointsOf(app.transcript.lines()))).toEqual([
        ['insert a1', 'insert a2'],
        ['insert b1', 'insert b2'],
      ])
      expect(app.transcript.lines().at(-1)).toBe('commit')
    })
  })
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a statement of the parent waits for the nested block, and survives its rollback', async () => {
    await outer.block(app, async () => {
      const opened = gate()
      const nested = inner.block(app, async () => {
        await inner.note(app, 'n1')
        opened.open()
        await setImmediate()
        await inner.note(app, 'n2')
        throw boom
      })
      await opened.passed
      expect(await outcomes([nested, outer.note(app, 'p')])).toEqual(['boom', 'fulfilled'])
    })
    expect(await app.rows()).toEqual(['p'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert n1',
      'insert n2',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert p',
      'commit',
    ])
  })

  test('a statement of the parent that fails beside a nested block fails the transaction', async () => {
    let nested: Promise<unknown> | undefined
    const error = await outer
      .block(app, async () => {
        await outer.note(app, 'p')
        const opened = gate()
        nested = inner.block(app, async () => {
          opened.open()
          await inner.note(app, 'n')
        })
        await opened.passed
        await outcomes([outer.note(app, 'p'), nested])
      })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(await outcomes([nested])).toEqual(['fulfilled'])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert p',
      'savepoint sp1',
      'insert n',
      'release savepoint sp1',
      'insert p',
      'commit',
    ])
  })
})

const speakerOf = (n: number): Speaker => speakers[n % speakers.length] as Speaker

describe.each(speakers)('in a transaction of $name', (parent) => {
  test('fifty siblings of all layers stay apart when a fifth of them fails', async () => {
    const numbers = Array.from({ length: 50 }, (_, n) => n)
    const fails = (n: number): boolean => n % 5 === 0
    await parent.block(app, async () => {
      const siblings = numbers.map((n) => {
        const speaker = speakerOf(n)
        return speaker.block(app, async () => {
          await speaker.note(app, `${n}a`)
          await setImmediate()
          await speaker.note(app, `${n}b`)
          if (fails(n)) throw new Error('boom')
        })
      })
      expect(await outcomes(siblings)).toEqual(
        numbers.map((n) => (fails(n) ? 'boom' : 'fulfilled')),
      )
    })
    const kept = numbers.filter((n) => !fails(n)).flatMap((n) => [`${n}a`, `${n}b`])
    expect((await app.rows()).toSorted()).toEqual(kept.toSorted())

    const onTheWire = savepointsOf(app.transcript.lines())
    const asked = numbers.map((n) => [
      `insert ${n}a`,
      `insert ${n}b`,
      ...(fails(n) ? ['rollback'] : []),
    ])
    expect(inOrder(onTheWire)).toEqual(inOrder(asked))
  })

  test('three levels of siblings: a failing block rolls back its own work, and nothing else', async () => {
    await parent.block(app, async () => {
      const middle = [0, 1, 2].map((m) =>
        speakerOf(m).block(app, async () => {
          const inner = [0, 1, 2].map((n) =>
            speakerOf(m + n).block(app, async () => {
              await speakerOf(n).note(app, `${m}.${n}`)
              if (n === 1) throw new Error('inner')
            }),
          )
          expect(await outcomes(inner)).toEqual(['fulfilled', 'inner', 'fulfilled'])
          if (m === 1) throw new Error('middle')
        }),
      )
      expect(await outcomes(middle)).toEqual(['fulfilled', 'middle', 'fulfilled'])
    })
    expect((await app.rows()).toSorted()).toEqual(['0.0', '0.2', '2.0', '2.2'])
    const lines = app.transcript.lines()
    const count = (start: string): number => lines.filter((line) => line.startsWith(start)).length
    expect(count('insert')).toBe(9)
    expect(count('rollback to savepoint')).toBe(4)
    expect(lines[0]).toBe('begin')
    expect(lines.at(-1)).toBe('commit')
  })
})
