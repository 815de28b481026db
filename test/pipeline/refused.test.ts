import { Pool, type PoolClient } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'
import { speakers } from '../setup/worlds.ts'

const insert = 'insert into note (text) values ($1)'

/** A value that cannot be serialised. */
const circular: Record<string, unknown> = {}
circular['self'] = circular

/** A value whose conversion throws something that is no error. */
const throwing = (thrown: unknown) => ({
  toPostgres() {
    throw thrown
  },
})

const refusals = [
  { name: 'a value that cannot be serialised', values: [circular], fate: 'TypeError' },
  { name: 'a value that throws undefined', values: [throwing(undefined)], fate: 'TypeError' },
  { name: 'a value that throws null', values: [throwing(null)], fate: 'TypeError' },
  { name: 'values that are no list', values: 'a', fate: 'Error' },
] as const

describe.each(joining)('with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)

  describe.each(refusals)('$name', ({ values, fate }) => {
    const refused = () => app.pool.query({ text: insert, values: values as unknown as unknown[] })

    test.each([0, 1, 2])('rejects that statement alone, at place %i', async (place) => {
      clear()
      const fates = await app.shared.transaction(() =>
        fatesOf(['a', 'b', 'c'].map((text, at) => (at === place ? refused() : note(app, text)))),
      )
      const others = ['a', 'b', 'c'].toSpliced(place, 1)
      expect(fates).toEqual(['done', 'done', 'done'].with(place, fate))
      expect(sent()).toEqual(['begin', 'insert', 'insert', 'commit'])
      expect(trips()).toBe(2)
      expect(await app.rows()).toEqual(others)
    })

    test.each([0, 1, 2])('has no event on the channel, at place %i', async (place) => {
      if (options.unheard) return
      clear()
      await app.shared.transaction(() =>
        fatesOf(['a', 'b', 'c'].map((text, at) => (at === place ? refused() : note(app, text)))),
      )
      const others = ['a', 'b', 'c'].toSpliced(place, 1).map((text) => `insert ${text}`)
      expect(app.transcript.lines()).toEqual(['begin', ...others, 'commit'])
    })

    test('rejects if it would be sent alone, too', async () => {
      await app.shared.transaction(async () => {
        await note(app, 'a')
        expect(await fatesOf([refused()])).toEqual([fate])
        await note(app, 'b')
      })
      expect(await fatesOf([refused()])).toEqual([fate])
      expect(await app.rows()).toEqual(['a', 'b'])
    })

    test('sends nothing if all are refused', async () => {
      clear()
      const fates = await app.shared.transaction(() => fatesOf([refused(), refused(), refused()]))
      expect(fates).toEqual([fate, fate, fate])
      expect(trips()).toBe(0)
    })

    test('does not affect the transaction, behind an error, too', async () => {
      const fates: string[] = []
      const error = await failureOf(
        app.shared.transaction(async () => {
          fates.push(
            ...(await fatesOf([
              note(app, 'a'),
              refused(),
              app.pool.query('select 1 / 0'),
              refused(),
              note(app, 'b'),
            ])),
          )
        }),
      )
      expect(fates).toEqual(['done', fate, 'error 22012', fate, 'StatementSkippedError 25P02'])
      expect(error).toMatchObject({ cause: { code: '22012' } })
      expect(await app.rows()).toEqual([])
    })
  })

  test('a name that has another text already rejects that statement alone', async () => {
    clear()
    const named = (text: string, values: unknown[] = []) =>
      app.pool.query({ name: 'refused', text, values })
    const fates = await app.shared.transaction(() =>
      fatesOf([named(insert, ['a']), named('select 1'), named(insert, ['b']), note(app, 'c')]),
    )
    expect(fates).toEqual(['done', 'Error', 'done', 'done'])
    expect(trips()).toBe(2)
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test('a refused statement with a new name leaves no name behind', async () => {
    const named = (value: unknown) =>
      app.pool.query({ name: 'not parsed', text: insert, values: [value] })
    const fates = await app.shared.transaction(() =>
      fatesOf([note(app, 'a'), named(circular), named('b')]),
    )
    expect(fates).toEqual(['done', 'TypeError', 'done'])
    await named('c')
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test('a value is serialised once', async () => {
    let asked = 0
    const value = { toPostgres: () => `${++asked}` }
    await app.shared.transaction(() => Promise.all([note(app, 'a'), note(app, value)]))
    expect(asked).toBe(1)
    expect(await app.rows()).toEqual(['a', '1'])
  })

  test('changes to the objects after the call do not change the statement', async () => {
    const client = await app.pool.connect()
    await client.query('begin')
    const query = { text: insert, values: ['a'] }
    const first = client.query(query)
    query.values = ['b']
    const second = client.query(query)
    query.values[0] = 'changed'
    const values = ['c']
    const third = client.query(insert, values)
    values[0] = 'changed, too'
    const fates = await fatesOf([first, second, third])
    await client.query(fates.includes('done') ? 'commit' : 'rollback').catch(() => undefined)
    client.release()
    expect(fates).toEqual(['done', 'done', 'done'])
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })
})

// A client in pipeline mode refuses queries that read or write in pages. It does so itself, as without
// the bridge, and the transaction goes on.

const strict = useRecordedApp({ pool: { pipeline: true } })
const TEN = 'select i from generate_series(1, 10) i'

const pages: readonly {
  readonly name: string
  readonly ask: (client: PoolClient) => Promise<unknown>
}[] = [
  { name: 'pg-cursor', ask: (client) => client.query(new Cursor(TEN)).read(5) },
  { name: 'pg-query-stream', ask: (client) => client.query(new QueryStream(TEN)).toArray() },
  {
    name: 'COPY TO of pg-copy-streams',
    ask: (client) => client.query(copyTo(`copy (${TEN}) to stdout`)).toArray(),
  },
  {
    name: 'COPY FROM of pg-copy-streams',
    ask: (client) =>
      new Promise((resolve, reject) => {
        const stream = client.query(copyFrom('copy note (text) from stdin'))
        stream
          .once('error', reject)
          .once('finish', () => resolve(undefined))
          .end('x\n')
      }),
  },
  { name: 'pages of rows', ask: (client) => client.query({ text: TEN, rows: 3 } as never) },
]

async function messageOf(pool: Pool, ask: (client: PoolClient) => Promise<unknown>) {
  const client = await pool.connect()
  try {
    await ask(client)
    return undefined
  } catch (error) {
    return (error as Error).message
  } finally {
    client.release()
  }
}

describe.each(pages)('$name on a client in pipeline mode', ({ ask }) => {
  test.each(speakers)(
    'is refused as by stock, and a transaction of $name goes on',
    async (speaker) => {
      const stock = new Pool({ connectionString: strict.app.url, max: 1, pipeline: true })
      const expected = await messageOf(stock, ask)
      await stock.end()
      expect(expected).toContain('not supported in pipeline mode')

      strict.clear()
      await speaker.block(strict.app, async () => {
        expect(await messageOf(strict.app.pool, ask)).toBe(expected)
        await speaker.note(strict.app, 'a')
        expect(await messageOf(strict.app.pool, ask)).toBe(expected)
        await Promise.all([note(strict.app, 'b'), note(strict.app, 'c')])
      })
      expect(strict.sent().filter(Boolean)).toEqual([
        expect.stringMatching(/^begin/),
        'insert',
        'insert',
        'insert',
        'commit',
      ])
      expect(await strict.app.rows()).toEqual(['a', 'b', 'c'])
    },
  )
})
