import { Rollback } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { drizzleSpeaker, kyselySpeaker, manners, sentIn, speakers } from '../setup/worlds.ts'

describe.each(manners)('$name', (manner) => {
  const app = useApp(manner.options)
  const expectSent = (lines: string[]): void =>
    expect(app.transcript.lines()).toEqual(sentIn(manner, lines))

  describe.each(speakers)('a block of $name', (speaker) => {
    test('that throws is rolled back, and rejects with the same error', async () => {
      const boom = new Error('boom')
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        throw boom
      })
      await expect(failing).rejects.toBe(boom)
      expect(await app.rows()).toEqual([])
      expectSent(['begin', 'insert a', 'rollback'])
    })

    test('that throws a value that is no Error rejects with that value', async () => {
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        // eslint-disable-next-line typescript/only-throw-error -- programs do
        throw 'a word'
      })
      await expect(failing).rejects.toBe('a word')
      expect(await app.rows()).toEqual([])
      expectSent(['begin', 'insert a', 'rollback'])
    })

    test('that returns early commits', async () => {
      for (const text of ['a', 'b']) {
        const value = await speaker.block(app, async () => {
          await speaker.note(app, text)
          if (text === 'a') return 'early'
          return 'late'
        })
        expect(value).toBe(text === 'a' ? 'early' : 'late')
      }
      expect(await app.rows()).toEqual(['a', 'b'])
      expectSent(['begin', 'insert a', 'commit', 'begin', 'insert b', 'commit'])
    })

    test('in which a statement fails rejects with the error of PostgreSQL', async () => {
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await speaker.note(app, 'a')
      })
      expect(await failureOf(failing)).toMatchObject({ code: '23505' })
      expect(await app.rows()).toEqual([])
      expectSent(['begin', 'insert a', 'insert a', 'rollback'])
    })

    test('inside shared.transaction(), which handles a Rollback from any layer', async () => {
      const value = await app.shared.transaction(async () => {
        await speaker.note(app, 'a')
        await speaker.block(app, async () => {
          await speaker.note(app, 'b')
          throw new Rollback('kept')
        })
      })
      // A block of the bridge handles Rollback itself. Blocks of the layers reject with it.
      const takesIt = speaker.name === 'shared'
      expect(value).toBe(takesIt ? undefined : 'kept')
      expect(await app.rows()).toEqual(takesIt ? ['a'] : [])
      expectSent([
        'begin',
        'insert a',
        'savepoint sp1',
        'insert b',
        'rollback to savepoint sp1',
        takesIt ? 'commit' : 'rollback',
      ])
    })
  })

  test('the work before, between and after failed blocks stays', async () => {
    const failed = (speaker: typeof drizzleSpeaker, text: string) =>
      speaker
        .block(app, async () => {
          await speaker.note(app, text)
          throw new Error(text)
        })
        .catch((error: Error) => error.message)
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: '1' })
      expect(await failed(kyselySpeaker, '2')).toBe('2')
      await kyselySpeaker.note(app, '4')
      expect(await failed(drizzleSpeaker, '7')).toBe('7')
      await tx.insert(notes).values({ text: '5' })
    })
    expect(await app.rows()).toEqual(['1', '4', '5'])
    expectSent([
      'begin',
      'insert 1',
      'savepoint sp1',
      'insert 2',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert 4',
      'savepoint sp1',
      'insert 7',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert 5',
      'commit',
    ])
  })
})
