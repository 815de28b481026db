import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import { Pool, type PoolClient } from 'pg'
import QueryStream from 'pg-query-stream'
import { describe, expect, test } from 'vitest'
import { speakers } from '../setup/worlds.ts'
import { note, useRecordedApp } from '../setup/recorded-app.ts'

// A client in pipeline mode refuses what reads or writes in pages. It says so itself, as it does
// without the bridge, and the transaction goes on.

const { app, sent, clear } = useRecordedApp({ pool: { pipeline: true } })
const TEN = 'select i from generate_series(1, 10) i'

const refusals: readonly {
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

describe.each(refusals)('$name', ({ ask }) => {
  test.each(speakers)(
    'is refused as by stock, and a transaction of $name goes on',
    async (speaker) => {
      const stock = new Pool({ connectionString: app.url, max: 1, pipeline: true })
      const expected = await messageOf(stock, ask)
      await stock.end()
      expect(expected).toContain('not supported in pipeline mode')

      clear()
      await speaker.block(app, async () => {
        expect(await messageOf(app.pool, ask)).toBe(expected)
        await speaker.note(app, 'a')
        expect(await messageOf(app.pool, ask)).toBe(expected)
        await Promise.all([note(app, 'b'), note(app, 'c')])
      })
      expect(sent().filter(Boolean)).toEqual([
        expect.stringMatching(/^begin/),
        'insert',
        'insert',
        'insert',
        'commit',
      ])
      expect(await app.rows()).toEqual(['a', 'b', 'c'])
    },
  )
})
