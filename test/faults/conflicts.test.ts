import type { PoolClient } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { blocked, expectTold, reportOf, session } from './support.ts'

/** Another client of the same database. */
let other: PoolClient
let pid = 0

function useOther(app: App): void {
  beforeEach(async () => {
    await app.observer.query(`insert into note (text) values ('x'), ('y')`)
    other = await app.observer.connect()
    pid = await session(app)
  })
  afterEach(async () => {
    await other.query('rollback')
    await other.query('reset all')
    other.release()
  })
}

describe('a serialization failure', () => {
  const options = '-c default_transaction_isolation=serializable'
  const app = useApp({ pool: { max: 1, options } })
  useOther(app)

  /** Both transactions count the notes and write one, so they cannot be serialized. */
  async function overtake(write: () => Promise<unknown>): Promise<void> {
    await app.pool.query('select count(*) from note')
    await write()
    await other.query('begin isolation level serializable')
    await other.query('select count(*) from note')
    await other.query(`insert into note (text) values ('of the other')`)
    await other.query('commit')
  }

  test.each(speakers)("at COMMIT of $name rejects with the server's error", async (speaker) => {
    const report = await reportOf(app, speaker, () => overtake(async () => speaker.note(app, 'a')))
    expect(report.error).toMatchObject({ code: '40001' })
    expectTold(report, 'rolled-back')
    expect(app.transcript.lines()).toEqual(['begin', 'select', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['x', 'y', 'of the other'])
    expect(await session(app)).toBe(pid)
  })

  test.each(worlds)(
    'at COMMIT of $name rolls back the savepoint, too',
    async ({ outer, inner }) => {
      const report = await reportOf(app, outer, () =>
        overtake(() => inner.block(app, () => inner.note(app, 'a'))),
      )
      expect(report.error).toMatchObject({ code: '40001' })
      expectTold(report, 'rolled-back')
      expect(await app.rows()).toEqual(['x', 'y', 'of the other'])
      expect(await session(app)).toBe(pid)
    },
  )
})

describe('a deferred constraint', () => {
  const app = useApp({ pool: { max: 1 } })
  useOther(app)
  const ORPHAN = `insert into reply (note_id, text) values (4711, 'to nobody')`

  test.each(worlds)(
    "that $name violates at COMMIT rejects with the server's error",
    async ({ outer, inner }) => {
      const report = await reportOf(app, outer, async () => {
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await app.pool.query('set constraints all deferred')
          await app.pool.query(ORPHAN)
        })
      })
      expect(report.error).toMatchObject({ code: '23503' })
      expectTold(report, 'rolled-back')
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'set',
        'insert',
        'commit',
      ])
      expect(await app.rows()).toEqual(['x', 'y'])
      expect(await session(app)).toBe(pid)
    },
  )
})

describe('a deadlock', () => {
  // The transaction that checks for deadlocks first is the victim.
  const app = useApp({ pool: { max: 1, options: '-c deadlock_timeout=10ms' } })
  useOther(app)

  const lock = (text: string): string => `select from note where text = '${text}' for update`

  /** The other transaction has locked `y`, and waits for `x`. */
  async function entangle(): Promise<{ readonly waiting: Promise<unknown> }> {
    const { rows } = await other.query<{ pid: number }>('select pg_backend_pid() as pid')
    await other.query(`set deadlock_timeout = '10min'`)
    await other.query('begin')
    await other.query(lock('y'))
    const waiting = other.query(lock('x'))
    await blocked(app, rows[0]?.pid as number)
    return { waiting }
  }

  test.each(speakers)(
    'of $name rolls it back, and the other transaction goes on',
    async (speaker) => {
      let waiting: Promise<unknown> | undefined
      const report = await reportOf(app, speaker, async () => {
        await speaker.note(app, 'a')
        await app.pool.query(lock('x'))
        ;({ waiting } = await entangle())
        await app.pool.query(lock('y'))
      })
      expect(report.error).toMatchObject({ code: '40P01' })
      expectTold(report, 'rolled-back')
      expect(await waiting).toMatchObject({ rowCount: 1 })
      expect(await app.rows()).toEqual(['x', 'y'])
      expect(await session(app)).toBe(pid)
    },
  )

  test.each(worlds)('in a savepoint of $name rolls back only that savepoint', async (world) => {
    const { outer, inner } = world
    let waiting: Promise<unknown> | undefined
    const report = await reportOf(app, outer, async () => {
      await outer.note(app, 'a')
      await app.pool.query(lock('x'))
      ;({ waiting } = await entangle())
      const nested = inner.block(app, async () => {
        await inner.note(app, 'b')
        await app.pool.query(lock('y'))
      })
      expect(await failureOf(nested)).toMatchObject({ code: '40P01' })
      await outer.note(app, 'c')
    })
    expectTold(report, 'committed')
    expect(await waiting).toMatchObject({ rowCount: 1 })
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'select',
      'savepoint sp1',
      'insert b',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
    expect(await app.rows()).toEqual(['x', 'y', 'a', 'c'])
    expect(await session(app)).toBe(pid)
  })
})
