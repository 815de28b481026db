import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ shared: { turnTimeout: 200 } })

async function fill(): Promise<void> {
  await app.orm.insert(notes).values(['a', 'b', 'c', 'd', 'e'].map((text) => ({ text })))
  app.transcript.clear()
}

describe.each(speakers)('a stream in a transaction of $name', (speaker) => {
  test(
    'lets other statements, of each layer, run between its pages',
    { timeout: 3000 },
    async () => {
      await fill()
      const seen: string[] = []
      await speaker.block(app, async () => {
        for await (const { text } of app.db
          .selectFrom('note')
          .select('text')
          .orderBy('id')
          .stream(2)) {
          seen.push(text)
          await speaker.note(app, `${text}2`)
          await app.orm.insert(notes).values({ text: `${text}3` })
        }
      })
      expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(await app.rows()).toHaveLength(15)
      expect(app.transcript.lines().at(-1)).toBe('commit')
    },
  )

  test('that is left early does not affect the transaction', { timeout: 3000 }, async () => {
    await fill()
    await speaker.block(app, async () => {
      for await (const { text } of app.db
        .selectFrom('note')
        .select('text')
        .orderBy('id')
        .stream(1)) {
        if (text === 'b') break
      }
      await speaker.note(app, 'after')
    })
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e', 'after'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('whose consumer throws is rolled back with its transaction', { timeout: 3000 }, async () => {
    await fill()
    const boom = new Error('boom')
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'before')
      for await (const row of app.db.selectFrom('note').select('text').stream(1)) {
        throw Object.assign(boom, { row })
      }
    })
    await expect(failing).rejects.toBe(boom)
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(app.transcript.lines().at(-1)).toBe('rollback')
  })

  test('does not mix with another at the same time', { timeout: 3000 }, async () => {
    await fill()
    const seen: string[] = []
    await speaker.block(app, async () => {
      const pages = [1, 2].map((size) =>
        app.db.selectFrom('note').select('text').orderBy('id').stream(size)[Symbol.asyncIterator](),
      )
      for (let n = 0; n < 5; n++) {
        for (const page of pages) {
          const { value } = await page.next()
          seen.push((value as { text: string }).text)
        }
      }
      for (const page of pages) expect((await page.next()).done).toBe(true)
    })
    expect(seen).toEqual(['a', 'a', 'b', 'b', 'c', 'c', 'd', 'd', 'e', 'e'])
    expect(await app.rows()).toHaveLength(5)
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('that a manual rollback to a savepoint closes ends with an error that says so', async () => {
    await fill()
    const seen: string[] = []
    await speaker.block(app, async () => {
      await app.pool.query('savepoint here')
      const failure = await failureOf(
        (async () => {
          for await (const { text } of app.db.selectFrom('note').select('text').stream(2)) {
            seen.push(text)
            if (seen.length === 2) await app.pool.query('rollback to savepoint here')
          }
        })(),
      )
      expect(failure).toMatchObject({ name: 'TransactionClosedError' })
      expect(failure.message).toContain('has taken the stream back')
      await speaker.note(app, 'f')
    })
    expect(seen).toEqual(['a', 'b'])
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test.each([
    ['savepoint around', 'rollback to savepoint around'],
    ['begin', 'rollback'],
  ])(
    'that a rollback of %j around its savepoint closes ends with that error',
    async (open, undo) => {
      await fill()
      await speaker.block(app, async () => {
        await app.pool.query(open)
        await app.pool.query('savepoint here')
        const stream = app.db.selectFrom('note').select('text').stream(1)[Symbol.asyncIterator]()
        await stream.next()
        await app.pool.query('release savepoint here')
        await app.pool.query(undo)
        expect((await failureOf(stream.next())).name).toBe('TransactionClosedError')
        await speaker.note(app, 'f')
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
      expect(app.transcript.lines().at(-1)).toBe('commit')
    },
  )

  test('can be read on after a rollback to a savepoint inside its own', async () => {
    await fill()
    const seen: unknown[] = []
    await speaker.block(app, async () => {
      await app.pool.query('savepoint around')
      const stream = app.db.selectFrom('note').select('text').stream(1)[Symbol.asyncIterator]()
      seen.push((await stream.next()).value)
      await app.pool.query('savepoint here')
      await app.pool.query('rollback to savepoint here')
      await app.pool.query('release savepoint around')
      seen.push((await stream.next()).value)
      await stream.return?.()
    })
    expect(seen).toEqual([{ text: 'a' }, { text: 'b' }])
    expect(await app.rows()).toHaveLength(5)
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('whose statement fails rejects like a statement', { timeout: 3000 }, async () => {
    const error = await failureOf(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        for await (const row of app.db
          .selectFrom('nowhere' as 'note')
          .selectAll()
          .stream(1)) {
          expect(row).toBe('never')
        }
      }),
    )
    expect(error).toMatchObject({ code: '42P01' })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().at(-1)).toBe('rollback')
  })

  test(
    'cannot be read on after the rollback of the savepoint that it was opened in',
    { timeout: 3000 },
    async () => {
      await fill()
      await speaker.block(app, async () => {
        let late: AsyncIterator<{ text: string }> | undefined
        const nested = speaker.block(app, async () => {
          late = app.db.selectFrom('note').select('text').stream(1)[Symbol.asyncIterator]()
          await late.next()
          throw new Error('boom')
        })
        expect((await failureOf(nested)).message).toBe('boom')
        expect((await failureOf((late as AsyncIterator<unknown>).next())).name).toBe(
          'TransactionClosedError',
        )
        await speaker.note(app, 'after')
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e', 'after'])
      expect(app.transcript.lines().at(-1)).toBe('commit')
    },
  )
})
