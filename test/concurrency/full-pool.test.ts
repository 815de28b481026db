import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp({ pool: { max: 2 }, shared: { turnTimeout: 200 } })

describe.each(speakers)('on a pool of two, transactions of $name', (speaker) => {
  test('that want one more client each, one after the other, get it', async () => {
    for (const n of [1, 2, 3]) {
      await speaker.block(app, async () => {
        await speaker.note(app, `outer ${n}`)
        await app.shared.transaction(() => speaker.note(app, `new ${n}`), {
          propagation: 'requires-new',
        })
      })
    }
    expect((await app.rows()).toSorted()).toEqual(
      [1, 2, 3].flatMap((n) => [`new ${n}`, `outer ${n}`]).toSorted(),
    )
    expect(app.transcript.lines()).toHaveLength(18)
    expect(app.pool.totalCount).toBe(2)
  })

  test(
    'that each wait for one more client are not left waiting for ever',
    { timeout: 3000 },
    async () => {
      const both = [gate(), gate()]
      const results = await outcomes(
        both.map((own, n) =>
          speaker.block(app, async () => {
            await speaker.note(app, `outer ${n}`)
            own.open()
            await Promise.all(both.map(({ passed }) => passed))
            await app.shared.transaction(() => speaker.note(app, `new ${n}`), {
              propagation: 'requires-new',
            })
          }),
        ),
      )
      expect(results).not.toEqual(['kept', 'kept'])
      expect(app.transcript.lines().filter((line) => line === 'rollback').length).toBeGreaterThan(0)
      const rows = await app.rows()
      results.forEach((result, n) => {
        expect(rows.includes(`outer ${n}`)).toBe(result === 'kept')
      })
    },
  )
})

test(
  'a chain of three transactions in one request is refused its third client',
  { timeout: 3000 },
  async () => {
    const requiresNew = { propagation: 'requires-new' } as const
    const { shared } = app
    const results = await outcomes([
      app.orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        await shared.transaction(async (second) => {
          await second.tx.insert(notes).values({ text: 'b' })
          await shared.transaction(
            (third) => third.tx.insert(notes).values({ text: 'c' }),
            requiresNew,
          )
        }, requiresNew)
      }),
    ])
    expect(results).not.toEqual(['kept'])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'begin',
      'insert b',
      'rollback',
      'rollback',
    ])
  },
)
