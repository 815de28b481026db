import { TransactionClosedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, worlds } from '../setup/worlds.ts'

const app = useApp()

/** Writes a note for each text that is asked for. */
async function* writer(speaker: Speaker, ...texts: string[]): AsyncGenerator<string> {
  for (const text of texts) {
    await speaker.note(app, text)
    yield text
  }
}

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('an async generator runs where it is read: made outside, read inside', async () => {
    const made = writer(inner, 'a', 'b')
    const failing = outer.block(app, async () => {
      for await (const text of made) expect(text).toMatch(/[ab]/)
      expect(await app.rows()).toEqual([])
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'rollback'])
  })

  test('an async generator that is made inside and read outside is in no transaction', async () => {
    let made: AsyncGenerator<string> | undefined
    const failing = outer.block(app, async () => {
      made = writer(inner, 'a', 'b')
      await outer.note(app, 'p')
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    for await (const text of made ?? []) expect(text).toMatch(/[ab]/)
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert p',
      'rollback',
      'insert a',
      'insert b',
    ])
  })

  test('an async generator that is read in two blocks writes each note in the block that asked for it', async () => {
    const made = writer(inner, 'a', 'b', 'c')
    await outer.block(app, async () => {
      await made.next()
      const nested = inner.block(app, async () => {
        await made.next()
        throw new Error('boom')
      })
      expect((await failureOf(nested)).message).toBe('boom')
      await made.next()
    })
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(app.transcript.lines()).toEqual([
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

  test('an async generator that is read in a nested block writes there, between the statements of its reader', async () => {
    const seen: string[] = []
    await outer.block(app, async () => {
      await inner.block(app, async () => {
        for await (const text of writer(outer, 'a', 'b')) {
          seen.push(text)
          await inner.note(app, `${text}2`)
        }
      })
      await outer.note(app, 'p')
    })
    expect(seen).toEqual(['a', 'b'])
    expect(await app.rows()).toEqual(['a', 'a2', 'b', 'b2', 'p'])
    expect(app.transcript.lines().filter((line) => line.startsWith('savepoint'))).toHaveLength(1)
  })
})

test('a generator on a handle of an ended transaction is refused, wherever it is read', async () => {
  const made = await app.orm.transaction((tx) => {
    const trx = app.shared.kyselyFor<Schema>(tx)
    return Promise.resolve(
      (async function* reading() {
        yield await trx.selectFrom('note').selectAll().execute()
      })(),
    )
  })
  const error = await failureOf(made.next())
  expect(error).toBeInstanceOf(TransactionClosedError)
  expect(error.message).toContain('generators.test.ts')
  expect(app.transcript.lines()).toEqual([])
})

test('a stream of Kysely that was begun in a transaction cannot be read on after it', async () => {
  await app.pool.query(`insert into note (text) values ('a'), ('b'), ('c')`)
  app.transcript.clear()
  const stream = await app.orm.transaction(async () => {
    const begun = app.db.selectFrom('note').select('text').stream(1)[Symbol.asyncIterator]()
    await begun.next()
    return { begun }
  })
  expect((await failureOf(stream.begun.next())).name).toBe('TransactionClosedError')
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'commit'])
})
