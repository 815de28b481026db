import DataLoader from 'dataloader'
import { inArray } from 'drizzle-orm'
import { TransactionClosedError, TurnTimeoutError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'

const app = useApp({ shared: { turnTimeout: 60 } })

/** Read the notes of a batch. DataLoader calls them in the context of the first caller. */
const readers = {
  // an awaited builder leaves no trace of who awaits it, a called one does
  drizzle: (texts: readonly string[]) =>
    app.orm
      .select({ text: notes.text })
      .from(notes)
      .where(inArray(notes.text, [...texts]))
      .execute(),
  kysely: (texts: readonly string[]) =>
    app.db.selectFrom('note').select('text').where('text', 'in', texts).execute(),
} as const

type Reader = (typeof readers)[keyof typeof readers]
type Loader = DataLoader<string, string>

/** A loader of notes by their text. It defers its batches until `after`. */
function make(read: Reader, after?: Promise<void>): Loader {
  return new DataLoader<string, string>(
    async (texts) => {
      const found = new Set((await read(texts)).map(({ text }) => text))
      return texts.map((text) => (found.has(text) ? text : 'nothing'))
    },
    after === undefined ? {} : { batchScheduleFn: (run) => void after.then(run) },
  )
}

const cases = speakers.flatMap((speaker) =>
  Object.entries(readers).map(([layer, read]): [string, string, Speaker, Reader] => [
    speaker.name,
    layer,
    speaker,
    read,
  ]),
)

describe.each(cases)('in a transaction of %s, a DataLoader on %s', (_, __, speaker, read) => {
  test.each(['outside', 'inside'])(
    'that was made %s reads what is not committed yet, all in one statement',
    async (where) => {
      const before = make(read)
      await speaker.block(app, async () => {
        const loader = where === 'outside' ? before : make(read)
        await speaker.note(app, 'a')
        expect(await Promise.all([loader.load('a'), loader.load('b')])).toEqual(['a', 'nothing'])
        await speaker.note(app, 'b')
        expect(await loader.clearAll().load('b')).toBe('b')
      })
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'select a b',
        'insert b',
        'select b',
        'commit',
      ])
    },
  )

  test('sees the work of a savepoint inside it, and not after its rollback', async () => {
    const loader = make(read)
    await speaker.block(app, async () => {
      const nested = speaker.block(app, async () => {
        await speaker.note(app, 'n')
        expect(await loader.load('n')).toBe('n')
        throw new Error('boom')
      })
      expect((await failureOf(nested)).message).toBe('boom')
      expect(await loader.clearAll().load('n')).toBe('nothing')
    })
    expect(await app.rows()).toEqual([])
  })

  test('that two requests share reads in the transaction of the first to call, and disturbs neither', async () => {
    const loader = make(read)
    const [first, second] = [gate(), gate()]
    const answers: string[][] = [[], []]
    const request = (n: 0 | 1, own: string, other: string): Promise<unknown> =>
      speaker.block(app, async () => {
        await speaker.note(app, own)
        const [mine, others] = [[first, second] as const, [second, first] as const][n] ?? []
        mine?.open()
        await others?.passed
        // both come in one turn of the event loop, so in one batch
        answers[n] = await Promise.all([loader.load(own), loader.load(other)])
        await speaker.note(app, `${own}2`)
      })
    await Promise.all([request(0, 'a', 'b'), request(1, 'b', 'a')])
    // the batch is in one transaction, which has not seen what the other wrote
    const [one, other] = answers.map((texts) => texts.toSorted())
    expect(one).toEqual([expect.stringMatching(/^[ab]$/), 'nothing'])
    expect(other).toEqual(one)
    const reads = app.transcript.lines().filter((line) => line.startsWith('select'))
    expect(reads).toHaveLength(1)
    expect((await app.rows()).toSorted()).toEqual(['a', 'a2', 'b', 'b2'])
  })

  test('whose batch is sent after the end is refused, and the error says where the transaction began', async () => {
    const ended = gate()
    const loader = make(read, ended.passed)
    let late: Promise<Error> | undefined
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      late = failureOf(loader.load('a'))
    })
    ended.open()
    const error = (await late) as Error
    expect(error).toBeInstanceOf(TransactionClosedError)
    expect(error.message).toContain('dataloader.test.ts')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('whose batch runs in the parent while an open block awaits it times out, and the error names both places', async () => {
    const loader = make(read)
    await speaker.block(app, async () => {
      const opened = gate()
      const called = gate()
      const nested = speaker.block(app, async () => {
        await speaker.note(app, 'n')
        opened.open()
        await called.passed
        // joins the batch of the parent, which waits for this block
        return loader.load('b')
      })
      await opened.passed
      const own = loader.load('a')
      called.open()
      const errors = await Promise.all([failureOf(own), failureOf(nested)])
      for (const error of errors) {
        expect(error).toBeInstanceOf(TurnTimeoutError)
        const [asked, began] = error.message.split('in its way began')
        expect(asked).toContain('dataloader.test.ts')
        expect(began).toContain('dataloader.test.ts')
      }
      await speaker.note(app, 'p')
    })
    expect(await app.rows()).toEqual(['p'])
    expect(app.transcript.lines().filter((line) => line.startsWith('select'))).toEqual([])
  })
})
