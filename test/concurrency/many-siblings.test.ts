import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'
import { inOrder, savepointsOf } from './savepoints.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp()

const speakerOf = (n: number): Speaker => speakers[n % speakers.length] as Speaker

describe.each(speakers)('in a transaction of $name', (parent) => {
  test('fifty siblings of all layers keep their rows apart, and a fifth of them fails', async () => {
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
      expect(await outcomes(siblings)).toEqual(numbers.map((n) => (fails(n) ? 'boom' : 'kept')))
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

  test('three levels of siblings: what fails takes its own with it, and nothing else', async () => {
    await parent.block(app, async () => {
      const middle = [0, 1, 2].map((m) =>
        speakerOf(m).block(app, async () => {
          const inner = [0, 1, 2].map((n) =>
            speakerOf(m + n).block(app, async () => {
              await speakerOf(n).note(app, `${m}.${n}`)
              if (n === 1) throw new Error('inner')
            }),
          )
          expect(await outcomes(inner)).toEqual(['kept', 'inner', 'kept'])
          if (m === 1) throw new Error('middle')
        }),
      )
      expect(await outcomes(middle)).toEqual(['kept', 'middle', 'kept'])
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
