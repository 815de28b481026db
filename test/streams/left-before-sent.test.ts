import type { Readable } from 'node:stream'
import { to as copyTo } from 'pg-copy-streams'
import type { PoolClient } from 'pg'
import QueryStream from 'pg-query-stream'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'
import { LOCK, locked, whileLocked } from '../setup/sessions.ts'

// A stream that is left while it waits behind another statement has no reader for its answer.

const app = useApp({ pool: { max: 1 } })

const streams: readonly { name: string; begin: (client: PoolClient) => Readable }[] = [
  {
    name: 'pg-query-stream',
    begin: (client) => client.query(new QueryStream('select generate_series(1, 1000)')),
  },
  {
    name: 'COPY TO',
    begin: (client) => client.query(copyTo('copy (select 1) to stdout')),
  },
]

describe.each(streams)('$name that is left before it was sent', ({ begin }) => {
  test.each(speakers)('is not sent, and a transaction of $name goes on', async (speaker) => {
    await whileLocked(app, (letGo) =>
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        const client = await app.pool.connect()
        const waiting = app.pool.query(LOCK)
        await locked(app)
        begin(client).destroy()
        await letGo()
        await waiting
        client.release()
        await speaker.note(app, 'b')
      }),
    )
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'insert b', 'commit'])
  })
})
