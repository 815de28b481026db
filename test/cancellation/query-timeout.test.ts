import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { note, useRecordedApp } from '../setup/recorded-app.ts'

// A statement that runs into query_timeout still runs on the server: nothing that was issued with it
// may be committed.

const { app, sent, clear } = useRecordedApp()
const slow = (seconds = 30) => {
  const text = `insert into note (text) select 'slow' from pg_sleep(${seconds})`
  return app.pool.query({ text, query_timeout: 30 } as { text: string })
}

describe.each(speakers)('in a transaction of $name', (speaker) => {
  test.each([0, 1, 2])(
    'a query_timeout at place %i fails the transaction, and not the next one',
    async (at) => {
      let fates: string[] = []
      const error = await failureOf(
        speaker.block(app, async () => {
          const texts = ['a', 'b']
          const issued = texts.slice(0, at).map((text) => note(app, text) as Promise<unknown>)
          issued.push(slow())
          for (const text of texts.slice(at)) issued.push(note(app, text))
          fates = await fatesOf(issued)
        }),
      )
      expect(fates.slice(0, at)).toEqual(Array(at).fill('done'))
      expect(fates[at]).toBe('Error')
      expect(fates.slice(at + 1)).not.toContain('done')
      expect(error).toMatchObject({
        name: 'TransactionAbortedError',
        cause: { message: 'Query read timeout' },
      })
      clear()
      await speaker.block(app, () => Promise.all([note(app, 'next'), note(app, 'last')]))
      expect(sent()).toEqual([expect.stringMatching(/^begin/), 'insert', 'insert', 'commit'])
      expect(await app.rows()).toEqual(['next', 'last'])
    },
  )

  test('a query_timeout in a nested block rolls back that block alone', async () => {
    await speaker.block(app, async () => {
      await Promise.all([note(app, 'a'), note(app, 'b')])
      const nested = speaker.block(app, () => Promise.all([note(app, 'c'), slow(), note(app, 'd')]))
      expect((await failureOf(nested)).message).toBe('Query read timeout')
      await Promise.all([note(app, 'e'), note(app, 'f')])
    })
    expect(await app.rows()).toEqual(['a', 'b', 'e', 'f'])
  })
})
