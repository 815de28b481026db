import type { PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

// A foreign stream occupies the connection until its end. If its reader awaits a statement on the same
// connection, both would wait for ever.

const app = useApp({ pool: { max: 1 }, shared: { turnTimeout: 60 } })
const ROWS = `select * from (values ('a'), ('b')) as found (text)`

/** One kind of stream. It calls `between` when it is half read, and returns the notes. */
interface Kind {
  readonly name: string
  run(client: PoolClient, between: () => Promise<void>): Promise<string[]>
}

const kinds: readonly Kind[] = [
  {
    name: 'a cursor',
    async run(client, between) {
      const cursor = client.query(new Cursor<{ text: string }>(ROWS))
      const first = await cursor.read(1)
      await between()
      const rest = await cursor.read(5)
      await cursor.close()
      return [...first, ...rest].map(({ text }) => text)
    },
  },
  {
    name: 'pg-query-stream',
    async run(client, between) {
      const stream = client.query(new QueryStream(ROWS, [], { batchSize: 1 }))
      const found: string[] = []
      for await (const { text } of stream as AsyncIterable<{ text: string }>) {
        if (text === 'a') await between()
        found.push(text)
      }
      return found
    },
  },
]

describe.each(kinds)('$name on a client of pool.connect()', (kind) => {
  test.each(speakers)(
    'in a transaction of $name makes a wait of its own reader time out, and goes on',
    async (speaker) => {
      let refused: Error | undefined
      await speaker.block(app, async () => {
        await speaker.note(app, 'x')
        const client = await app.pool.connect()
        const found = await kind.run(client, async () => {
          refused = await failureOf(Promise.resolve(speaker.note(app, 'never')))
        })
        client.release()
        expect(found).toEqual(expect.arrayContaining(['a', 'b']))
        await speaker.note(app, 'y')
      })
      expect(refused?.name).toBe('TurnTimeoutError')
      const rows = await app.rows()
      expect(rows.filter((text) => text.length > 1)).toEqual([])
      expect(rows).toEqual(expect.arrayContaining(['x', 'y']))
      expect(app.transcript.lines().slice(0, 3)).toEqual(['begin', 'insert x', 'select'])
      expect(app.transcript.lines().slice(-2)).toEqual(['insert y', 'commit'])
    },
  )
})

describe.each(kinds)('$name outside a transaction, on a pool of one', (kind) => {
  test.each(speakers)(
    'whose reader waits for $name makes that wait time out, and goes on',
    async (speaker) => {
      let refused: Error | undefined
      const client = await app.pool.connect()
      const found = await kind.run(client, async () => {
        refused = await failureOf(speaker.block(app, () => speaker.note(app, 'never')))
      })
      client.release()
      expect(found).toEqual(['a', 'b'])
      expect(refused?.name).toBe('TurnTimeoutError')
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).toEqual(['select'])
    },
  )
})
