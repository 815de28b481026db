import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { sql } from 'kysely'
import type { PoolClient } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { describe, expect, inject, test } from 'vitest'
import type { App } from '../setup/app.ts'
import { note, useRecordedApp } from '../setup/recorded-app.ts'

const { app, sent, trips, clear } = useRecordedApp()

const TEN = 'select i from generate_series(1, 10) i'

/** A statement that is never pipelined with others. */
interface Loner {
  readonly name: string
  readonly verbs: readonly string[]
  /** Its round trips. */
  readonly trips: number
  /** Whether a deferred BEGIN is piggybacked on it. */
  readonly carries: boolean
  readonly answer: unknown
  run(app: App): Promise<unknown>
}

const loners: readonly Loner[] = [
  {
    name: 'a query read by pages',
    verbs: ['select'],
    trips: 1,
    carries: false,
    answer: 10,
    run: async ({ pool }) =>
      (await pool.query({ text: TEN, rows: 3 } as { text: string })).rows.length,
  },
  {
    name: 'a query with a timeout',
    verbs: ['select'],
    trips: 1,
    carries: true,
    answer: 10,
    run: async ({ pool }) =>
      (await pool.query({ text: TEN, query_timeout: 10_000 } as { text: string })).rowCount,
  },
  {
    name: 'several commands in one text',
    verbs: ['insert'],
    trips: 1,
    carries: false,
    answer: 2,
    run: async ({ pool }) => {
      const text = "insert into note (text) values ('x'); insert into note (text) values ('y')"
      return ((await pool.query(text)) as unknown as unknown[]).length
    },
  },
  {
    name: 'a cursor',
    verbs: ['select'],
    trips: 1,
    carries: false,
    answer: 10,
    run: (it) =>
      onClient(it, async (client) => {
        const cursor = client.query(new Cursor(TEN))
        return (await cursor.read(100)).length
      }),
  },
  {
    name: 'a stream of rows',
    verbs: ['select'],
    trips: 1,
    carries: false,
    answer: 10,
    run: (it) =>
      onClient(it, async (client) => (await client.query(new QueryStream(TEN)).toArray()).length),
  },
  {
    name: 'a COPY from a stream',
    verbs: ['copy'],
    trips: 1,
    carries: false,
    answer: 2,
    run: (it) =>
      onClient(it, async (client) => {
        const stream = client.query(copyFrom('copy note (text) from stdin'))
        await pipeline(Readable.from(['x\n', 'y\n']), stream)
        return stream.rowCount
      }),
  },
  {
    name: 'a COPY to a stream',
    verbs: ['copy'],
    trips: 1,
    carries: false,
    answer: 10,
    run: (it) =>
      onClient(it, async (client) => {
        const bytes = Buffer.concat(await client.query(copyTo(`copy (${TEN}) to stdout`)).toArray())
        return bytes.toString().trim().split('\n').length
      }),
  },
]

async function onClient<T>({ pool }: App, fn: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    return await fn(client)
  } finally {
    client.release()
  }
}

describe.each(loners)('$name', (loner) => {
  const extra = loner.carries ? 0 : 1
  const lead = loner.carries ? [] : ['']

  test('is sent alone and in order, among others', async () => {
    clear()
    const answers = await app.shared.transaction(() =>
      // each call is made when the one in front has come to the queue, whatever it takes for that
      Promise.all([
        note(app, 'a'),
        note(app, 'b'),
        loner.run(app),
        afterwards('c'),
        afterwards('d'),
      ]),
    )
    expect(answers[2]).toEqual(loner.answer)
    expect(sent()).toEqual([
      'begin',
      'insert',
      'insert',
      ...loner.verbs,
      'insert',
      'insert',
      'commit',
    ])
    expect(trips()).toBe(loner.trips + 3)
    expect(await notesOf('a', 'b', 'c', 'd')).toEqual(['a', 'b', 'c', 'd'])
  })

  test('is sent alone as the first', async () => {
    clear()
    const answers = await app.shared.transaction(() =>
      Promise.all([loner.run(app), afterwards('a'), afterwards('b')]),
    )
    expect(answers[0]).toEqual(loner.answer)
    expect(sent()).toEqual(['begin', ...lead, ...loner.verbs, 'insert', 'insert', 'commit'])
    expect(trips()).toBe(loner.trips + 2 + extra)
    expect(await notesOf('a', 'b')).toEqual(['a', 'b'])
  })

  test('is sent alone as the last', async () => {
    clear()
    const answers = await app.shared.transaction(() =>
      Promise.all([note(app, 'a'), note(app, 'b'), loner.run(app)]),
    )
    expect(answers[2]).toEqual(loner.answer)
    expect(sent()).toEqual(['begin', 'insert', 'insert', ...loner.verbs, 'commit'])
    expect(trips()).toBe(loner.trips + 2)
  })

  test('lets the next request on the client leave together again', async () => {
    await app.shared.transaction(() => loner.run(app))
    clear()
    await app.shared.transaction(() => Promise.all([note(app, 'a'), note(app, 'b')]))
    expect(trips()).toBe(2)
  })

  test('is sent alone each time if it is issued twice', async () => {
    if (loner.verbs[0] === 'insert' || loner.name.includes('from')) return
    clear()
    const answers = await app.shared.transaction(() =>
      Promise.all([note(app, 'a'), loner.run(app), loner.run(app)]),
    )
    expect(answers.slice(1)).toEqual([loner.answer, loner.answer])
    expect(trips()).toBe(2 * loner.trips + 2)
  })
})

/** Writes a note behind the statements that were issued in the same tick, even if those need a client first. */
async function afterwards(text: string): Promise<unknown> {
  for (let hop = 0; hop < 30; hop++) await Promise.resolve()
  return note(app, text)
}

/** Of these notes, those that are there, in the order of their making. */
async function notesOf(...texts: string[]): Promise<string[]> {
  return (await app.rows()).filter((text) => texts.includes(text))
}

// Kysely 0.28 takes no signal
test.runIf(inject('combination').kysely.version === '0.29')(
  "a statement with Kysely's signal goes alone",
  async () => {
    clear()
    const { signal } = new AbortController()
    const counted = sql<{ count: string }>`select count(*) from note`
    await app.shared.transaction(() =>
      Promise.all([
        note(app, 'a'),
        counted.execute(app.db, { signal, inflightQueryAbortStrategy: 'cancel query' }),
        afterwards('b'),
      ]),
    )
    expect(sent()).toEqual(['begin', 'insert', 'select', 'insert', 'commit'])
    expect(trips()).toBe(4)
  },
)

test('the code of withClient() runs alone, behind all statements that were issued before', async () => {
  clear()
  await app.shared.transaction(() =>
    Promise.all([
      note(app, 'a'),
      note(app, 'b'),
      app.shared.withClient(async (client) => {
        await client.query("insert into note (text) values ('x')")
      }),
      afterwards('c'),
      afterwards('d'),
    ]),
  )
  expect(trips()).toBe(4)
  expect(await app.rows()).toEqual(['a', 'b', 'x', 'c', 'd'])
})

describe('a client that has a query_timeout for all', () => {
  const slow = useRecordedApp({ pool: { query_timeout: 10_000 } })

  test('sends each statement alone', async () => {
    slow.clear()
    await slow.app.shared.transaction(() =>
      Promise.all(['a', 'b', 'c'].map((text) => note(slow.app, text))),
    )
    expect(slow.trips()).toBe(4)
    expect(await slow.app.rows()).toEqual(['a', 'b', 'c'])
  })
})
