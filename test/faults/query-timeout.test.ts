import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type PoolClient, Query } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { TransactionAbortedError } from 'shared-connection'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers, worlds } from '../setup/worlds.ts'
import {
  atRest,
  blocked,
  expectNextRequest,
  expectTold,
  gone,
  reportOf,
  session,
} from './support.ts'

// `query_timeout` is an option of pg: pg stops waiting, and does not tell the server. A transaction must
// neither wait for such a statement nor commit it.

const TOO_SLOW = 'Query read timeout'
/** A statement that waits on the server for a lock of another session. */
const WAIT = `insert into note (text) select 'given up' from pg_advisory_xact_lock(1)`

let holder: PoolClient | undefined
let pid = 0

async function hold(app: App): Promise<void> {
  holder = await app.observer.connect()
  await holder.query('select pg_advisory_lock(1)')
}

async function letGo(): Promise<void> {
  await holder?.query('select pg_advisory_unlock_all()')
  holder?.release()
  holder = undefined
}

/** Asserts that no statement still waits for the lock, that nothing is committed, and that the pool works. */
async function expectOver(app: App, speaker: Speaker): Promise<void> {
  expect(app.pool.totalCount).toBe(app.pool.idleCount)
  await atRest(app, pid)
  await letGo()
  expect(await app.rows()).toEqual([])
  await speaker.block(app, () => speaker.note(app, 'next'))
  expect(await app.rows()).toEqual(['next'])
}

afterEach(letGo)

describe('a statement with a query_timeout', () => {
  const app = useApp({ pool: { max: 1 } })
  const slow = { text: WAIT, query_timeout: 20 }

  beforeEach(async () => {
    pid = await session(app)
    await hold(app)
  })

  test.each(speakers)('in a transaction of $name rolls it back', async (speaker) => {
    const report = await reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      await app.pool.query(slow)
    })
    expect(report.error).toMatchObject({ message: TOO_SLOW })
    expectTold(report, 'rolled-back')
    await expectOver(app, speaker)
  })

  test.each(speakers)(
    'does not commit with $name, though its error was swallowed',
    async (speaker) => {
      const report = await reportOf(app, speaker, async () => {
        await speaker.note(app, 'a')
        expect((await failureOf(app.pool.query(slow))).message).toBe(TOO_SLOW)
        await failureOf(Promise.resolve(speaker.note(app, 'b')))
      })
      expect(report.error).toBeInstanceOf(TransactionAbortedError)
      expect(report.error?.cause).toMatchObject({ message: TOO_SLOW })
      expectTold(report, 'rolled-back')
      await expectOver(app, speaker)
    },
  )

  test.each(worlds)('in a savepoint of $name rolls back only that savepoint', async (world) => {
    const { outer, inner } = world
    const report = await reportOf(app, outer, async () => {
      await outer.note(app, 'a')
      const nested = inner.block(app, () => app.pool.query(slow))
      expect((await failureOf(nested)).message).toBe(TOO_SLOW)
      await outer.note(app, 'c')
    })
    expectTold(report, 'committed')
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
    expect(app.pool.totalCount).toBe(app.pool.idleCount)
    await letGo()
    expect(await app.rows()).toEqual(['a', 'c'])
  })

  test('outside a transaction runs on, and its client is closed', async () => {
    expect((await failureOf(app.pool.query(slow))).message).toBe(TOO_SLOW)
    await blocked(app, pid)
    await letGo()
    await gone(app, pid)
    expect(await app.rows()).toEqual(['given up'])
    await expectNextRequest(app, speakers[0], pid)
  })
})

describe('a pool with a query_timeout', () => {
  // Long enough for a statement that does not wait, on any machine.
  const app = useApp({ pool: { max: 1, query_timeout: 500 } })

  beforeAll(async () => {
    await app.observer.query(`
      create function wait_for_them() returns trigger language plpgsql as $$
        begin perform pg_advisory_xact_lock(1); return null; end $$;
      create constraint trigger wait_for_them after insert on note deferrable initially deferred
        for each row when (new.text = 'late') execute function wait_for_them()`)
  })
  beforeEach(async () => {
    pid = await session(app)
    await hold(app)
  })

  test.each(speakers)('rolls back a transaction of $name that is too slow', async (speaker) => {
    const report = await reportOf(app, speaker, async () => {
      await speaker.note(app, 'a')
      await app.pool.query(WAIT)
    })
    expect(report.error).toMatchObject({ message: TOO_SLOW })
    expectTold(report, 'rolled-back')
    await expectOver(app, speaker)
  })

  test.each(speakers)(
    'leaves the outcome unknown if it abandons a COMMIT of $name',
    async (speaker) => {
      const report = await reportOf(app, speaker, () => speaker.note(app, 'late'))
      expectTold(report, 'unknown')
      expect(report.error?.cause).toMatchObject({ message: TOO_SLOW })
      expect(app.transcript.lines()).toEqual(['begin', 'insert late', 'commit'])
      await expectOver(app, speaker)
    },
  )
})

/** Query objects that write messages themselves, each used until its end. */
const objects: readonly { name: string; use: (client: PoolClient) => Promise<unknown> }[] = [
  {
    name: 'a cursor',
    async use(client) {
      const cursor = client.query(new Cursor('select 1'))
      await cursor.read(10)
      await cursor.close()
    },
  },
  {
    name: 'a query stream',
    use: (client) => client.query(new QueryStream('select 1')).toArray(),
  },
  {
    name: 'a COPY',
    use: (client) =>
      pipeline(Readable.from(['a\n']), client.query(copyFrom('copy note (text) from stdin'))),
  },
  {
    // Nothing would handle an error that it emits later.
    name: 'a query object',
    use: (client) =>
      new Promise((resolve) => {
        client.query(new Query('select 1')).on('end', resolve)
      }),
  },
]

describe.each(objects)('the timer of $name, in a pool with a query_timeout,', ({ use }) => {
  const app = useApp({ pool: { max: 1, query_timeout: 1000 } })

  beforeEach(async () => {
    pid = await session(app)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    return () => vi.useRealTimers()
  })

  async function useIt(): Promise<void> {
    const client = await app.pool.connect()
    await client.query('begin')
    await use(client)
    await client.query('rollback')
    client.release()
  }

  test.each(speakers)('does not affect a later transaction of $name', async (speaker) => {
    await useIt()
    vi.advanceTimersByTime(600)
    await speaker.block(app, async () => {
      await speaker.note(app, 'innocent')
      const running = app.pool.query('select pg_sleep(0.1)')
      // It was sent by then.
      await new Promise<void>((resolve) => process.nextTick(resolve))
      vi.advanceTimersByTime(600)
      await running
    })
    expect(await session(app)).toBe(pid)
    expect(await app.rows()).toEqual(['innocent'])
  })

  test('cancels nothing while the connection is idle, and no later statement', async () => {
    await useIt()
    vi.advanceTimersByTime(1500)
    await app.shared.transaction(() => app.pool.query('select pg_sleep(0.1)'))
    expect(await session(app)).toBe(pid)
  })
})

describe('a statement that was abandoned', () => {
  const app = useApp({ pool: { max: 1, query_timeout: 200 } })

  test('is cancelled if it was COMMIT, and no later statement is', async () => {
    await app.observer.query(`
      create function nap() returns trigger language plpgsql as $$
        begin perform pg_sleep(600); return null; end $$;
      create constraint trigger nap after insert on note deferrable initially deferred
        for each row when (new.text = 'late') execute function nap()`)
    const client = await app.pool.connect()
    client.on('error', () => {})
    await client.query('begin')
    await client.query(`insert into note (text) values ('late')`)
    const failure = await failureOf(client.query('commit'))
    expect(failure.cause).toMatchObject({ message: TOO_SLOW })
    // Longer than the pause after which a CancelRequest is repeated.
    const wanted = { text: 'select pg_sleep(1)', query_timeout: 10_000 }
    expect(await client.query(wanted)).toMatchObject({ rowCount: 1 })
    client.release()
    expect(await app.rows()).toEqual([])
  })
  test.each(['outside', 'inside'])('is reported once to a query object, %s', async (where) => {
    const told: unknown[] = []
    const ask = (): Promise<void> =>
      new Promise((resolve) => {
        const callback = (error: Error | null, result: unknown): void => {
          told.push(error?.message ?? result)
          resolve()
        }
        client.query(new Query('select pg_sleep(0.6)', callback as never))
      })
    const client = await app.pool.connect()
    if (where === 'inside') await client.query('begin')
    await ask()
    // This is sent after it.
    const last = where === 'inside' ? 'rollback' : 'select 1'
    await client.query({ text: last, query_timeout: 10_000 } as { text: string })
    client.release()
    expect(told).toEqual([TOO_SLOW])
  })
})
