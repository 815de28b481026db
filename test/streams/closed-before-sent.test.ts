import type { PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

// pg-cursor does not note that it was closed while it had no connection. If it were sent then, it would
// keep the connection for ever, since nobody would close it again.

const app = useApp({ pool: { max: 1 } })
const ROWS = `select * from (values ('a'), ('b'), ('c')) as found (text)`

/** Runs `fn` with a client of pool.connect(), as `pg` is used without a layer. */
async function withClient(fn: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await app.pool.connect()
  try {
    await fn(client)
  } finally {
    client.release()
  }
}

test.each(speakers)(
  'a cursor closed in its tick in a transaction of $name is not sent',
  async (speaker) => {
    await speaker.block(app, async () => {
      await withClient(async (client) => {
        const cursor = client.query(new Cursor(ROWS))
        await cursor.close()
        await cursor.close()
        expect(await cursor.read(1)).toEqual([])
        await client.query('select 2')
      })
      await speaker.note(app, 'a')
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'select', 'insert a', 'commit'])
  },
)

test('a cursor that is closed while it waits behind a statement is not sent', async () => {
  await app.orm.transaction(async () => {
    await withClient(async (client) => {
      const first = client.query('select 1')
      const cursor = client.query(new Cursor(ROWS))
      const closed = new Promise<void>((resolve) => {
        cursor.close(() => resolve())
      })
      await Promise.all([first, closed, client.query('select 2')])
    })
  })
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'select', 'commit'])
})

test('the rows that were asked for before the close come first', async () => {
  await app.orm.transaction(async () => {
    await withClient(async (client) => {
      const cursor = client.query(new Cursor<{ text: string }>(ROWS))
      const rows = cursor.read(2)
      await cursor.close()
      expect(await rows).toEqual([{ text: 'a' }, { text: 'b' }])
      await client.query('select 2')
    })
  })
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'select', 'commit'])
})

test('outside a transaction a cursor closed in its tick leaves the client free', async () => {
  await withClient(async (client) => {
    const cursor = client.query(new Cursor(ROWS))
    await cursor.close()
    await client.query('select 2')
  })
})

test('a cursor has its own methods again once it was sent', async () => {
  await app.orm.transaction(async () => {
    await withClient(async (client) => {
      const cursor = client.query(new Cursor(ROWS))
      await cursor.read(1)
      expect(Object.hasOwn(cursor, 'close')).toBe(false)
      await cursor.close()
    })
  })
})
