import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { TurnTimeoutError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { gate } from '../setup/gate.ts'
import { speakers, worlds } from '../setup/worlds.ts'

// A cursor keeps the connection to itself until it is closed. Nobody may ever do that.

const app = useApp({ pool: { max: 1 }, shared: { turnTimeout: 60 } })
const ROWS = `select * from (values ('a'), ('b'), ('c')) as found (text)`

interface Opened {
  readOn(): Promise<unknown>
}

const kinds = [
  {
    name: 'a cursor',
    open: async (): Promise<Opened> => {
      const client = await app.pool.connect()
      const cursor = client.query(new Cursor(ROWS))
      await cursor.read(1)
      client.release()
      return { readOn: () => cursor.read(1) }
    },
  },
  {
    name: 'a stream',
    open: async (): Promise<Opened> => {
      const client = await app.pool.connect()
      const stream = client.query(new QueryStream(ROWS, [], { batchSize: 1, highWaterMark: 1 }))
      const rows = stream[Symbol.asyncIterator]()
      await rows.next()
      client.release()
      const readOn = async (): Promise<void> => {
        while (!(await rows.next()).done);
      }
      return { readOn }
    },
  },
]

describe.each(kinds)('$name left open', ({ open }) => {
  test.each(speakers)('in a transaction of $name ends it by a rollback', async (speaker) => {
    let opened: Opened | undefined
    const error = await failureOf(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        opened = await open()
      }),
    )
    expect(error).toBeInstanceOf(TurnTimeoutError)
    expect(error.message.match(/left-open\.test\.ts/g)?.length).toBeGreaterThanOrEqual(2)
    await expect(opened?.readOn()).rejects.toThrow(/transaction|Premature close/)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
  })

  test.each(worlds)('in a nested block of $name rolls that back', async ({ outer, inner }) => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const error = await failureOf(
        inner.block(app, async () => {
          await inner.note(app, 'b')
          await open()
        }),
      )
      expect(error).toBeInstanceOf(TurnTimeoutError)
      await outer.note(app, 'c')
    })
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
  })

  test.each(speakers)('in a block of $name that throws keeps nothing waiting', async (speaker) => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await open()
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await app.rows()).toEqual([])
  })
})

describe.each(speakers)('beside withClient(), in a transaction of $name', (speaker) => {
  test('a statement that opens its gate times out, and the transaction goes on', async () => {
    let error: Error | undefined
    await speaker.block(app, async () => {
      const started = gate()
      const waited = gate()
      const held = app.shared.withClient(async (client) => {
        await client.query('select 1')
        started.open()
        await waited.passed
      })
      await started.passed
      error = await failureOf(Promise.resolve(speaker.note(app, 'never')))
      waited.open()
      await held
      await speaker.note(app, 'a')
    })
    expect(error).toBeInstanceOf(TurnTimeoutError)
    expect(error?.message).toContain('withClient()')
    expect(error?.message.match(/left-open\.test\.ts/g)?.length).toBeGreaterThanOrEqual(2)
    expect(await app.rows()).toEqual(['a'])
  })

  test('a statement waits for as long as the client is at work', async () => {
    await speaker.block(app, async () => {
      const held = app.shared.withClient(async (client) => {
        for (let n = 0; n < 5; n++) await client.query('select pg_sleep(0.03)')
      })
      await speaker.note(app, 'a')
      await held
    })
    expect(await app.rows()).toEqual(['a'])
  })
})
