import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { manners, sentIn, speakers, worldsIn } from '../setup/worlds.ts'

describe.each(manners)('$name', (manner) => {
  const app = useApp(manner.options)
  const expectSent = (lines: string[]): void =>
    expect(app.transcript.lines()).toEqual(sentIn(manner, lines))

  test('the work of a Kysely block inside Drizzle is rolled back when Drizzle fails', async () => {
    const boom = new Error('boom')
    await expect(
      app.orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'outer' })
        await app.db.transaction().execute(async (trx) => {
          await trx.insertInto('note').values({ text: 'inner' }).execute()
        })
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(await app.rows()).toEqual([])
    expectSent([
      'begin',
      'insert outer',
      'savepoint sp1',
      'insert inner',
      '(release savepoint sp1)',
      'rollback',
    ])
  })

  describe.each(worldsIn(manner))('$name', ({ outer, inner }) => {
    test('a block inside is a savepoint, and all commits at the end', async () => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          await outer.note(app, 'c')
        })
        await outer.note(app, 'd')
        await inner.note(app, 'e')
        expect(await app.rows()).toEqual([])
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e'])
      expectSent([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'insert c',
        'release savepoint sp1',
        'insert d',
        'insert e',
        'commit',
      ])
    })

    test('an error inside that is caught rolls back only the inner work', async () => {
      const boom = new Error('boom')
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        const failing = inner.block(app, async () => {
          await inner.note(app, 'b')
          throw boom
        })
        await expect(failing).rejects.toBe(boom)
        await outer.note(app, 'c')
      })
      expect(await app.rows()).toEqual(['a', 'c'])
      expectSent([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'insert c',
        'commit',
      ])
    })

    test('an error inside that is not caught rolls back everything', async () => {
      const boom = new Error('boom')
      const failing = outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          throw boom
        })
      })
      await expect(failing).rejects.toBe(boom)
      expect(await app.rows()).toEqual([])
      expectSent([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'rollback to savepoint sp1',
        'rollback',
      ])
    })

    test('an error outside rolls back the released work of the inner block', async () => {
      const boom = new Error('boom')
      const failing = outer.block(app, async () => {
        await inner.block(app, () => inner.note(app, 'a'))
        throw boom
      })
      await expect(failing).rejects.toBe(boom)
      expect(await app.rows()).toEqual([])
      expectSent(['begin', 'savepoint sp1', 'insert a', '(release savepoint sp1)', 'rollback'])
    })

    test('the blocks resolve with their values', async () => {
      const value = await outer.block(app, async () => {
        const list = await inner.block(app, async () => {
          await inner.note(app, 'a')
          return [42]
        })
        return { list }
      })
      expect(value).toEqual({ list: [42] })
      expect(await app.rows()).toEqual(['a'])
      expectSent(['begin', 'savepoint sp1', 'insert a', '(release savepoint sp1)', 'commit'])
    })
  })
})

describe('three deep', () => {
  const app = useApp()
  const triples = speakers.flatMap((one) =>
    speakers.flatMap((two) =>
      speakers.map((three) => ({
        name: `${one.name} ⊃ ${two.name} ⊃ ${three.name}`,
        layers: [one, two, three] as const,
      })),
    ),
  )

  test.each(triples)(
    '$name: savepoints are named by depth',
    async ({ layers: [one, two, three] }) => {
      await one.block(app, async () => {
        await one.note(app, 'a')
        await two.block(app, async () => {
          await two.note(app, 'b')
          await three.block(app, () => three.note(app, 'c'))
          await expect(
            three.block(app, async () => {
              await three.note(app, 'gone')
              throw new Error('boom')
            }),
          ).rejects.toThrow('boom')
          await two.note(app, 'd')
        })
        await one.note(app, 'e')
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'savepoint sp2',
        'insert c',
        'release savepoint sp2',
        'savepoint sp2',
        'insert gone',
        'rollback to savepoint sp2',
        'release savepoint sp2',
        'insert d',
        'release savepoint sp1',
        'insert e',
        'commit',
      ])
    },
  )

  test.each(triples)(
    '$name: a frame that is rolled back rolls back the frames inside it',
    async ({ layers }) => {
      const [one, two, three] = layers
      await one.block(app, async () => {
        await one.note(app, 'a')
        const failing = two.block(app, async () => {
          await two.note(app, 'b')
          await three.block(app, () => three.note(app, 'c'))
          throw new Error('boom')
        })
        await expect(failing).rejects.toThrow('boom')
        await one.note(app, 'd')
      })
      expect(await app.rows()).toEqual(['a', 'd'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'savepoint sp2',
        'insert c',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'insert d',
        'commit',
      ])
    },
  )
})
