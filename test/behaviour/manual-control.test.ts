import { sql } from 'kysely'
import type { PoolClient } from 'pg'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()
const INSERT = 'insert into note (text) values ($1)'

async function withConnected(fn: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await app.orm.$client.connect()
  try {
    await fn(client)
  } finally {
    client.release()
  }
}

describe('a manual transaction', () => {
  test.each(['commit', 'COMMIT;', 'end', 'commit work', '/* done */ commit and no chain'])(
    'on a client from the pool, ended by %j',
    async (commit) => {
      await withConnected(async (client) => {
        await client.query('BEGIN')
        await client.query(INSERT, ['a'])
        expect(await app.rows()).toEqual([])
        await client.query(commit)
        await client.query(INSERT, ['b'])
      })
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert b'])
    },
  )

  test.each(['rollback', 'abort', 'ROLLBACK TRANSACTION', '-- no\nrollback'])(
    'on a client from the pool, rolled back by %j',
    async (rollback) => {
      await withConnected(async (client) => {
        await client.query('start transaction isolation level serializable')
        await client.query(INSERT, ['a'])
        await client.query(rollback)
      })
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).toEqual([
        'begin isolation level serializable',
        'insert a',
        'rollback',
      ])
    },
  )

  test.each(['commit and chain', 'rollback and chain'])(
    'is not chained to another one: %j is refused, and the transaction goes on',
    async (chain) => {
      await withConnected(async (client) => {
        await client.query('begin')
        await client.query(INSERT, ['a'])
        expect(await failureOf(client.query(chain))).toMatchObject({
          name: 'ControlStatementError',
        })
        await client.query(INSERT, ['b'])
        await client.query('commit')
      })
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
    },
  )

  test("on Kysely's connection()", async () => {
    await app.db.connection().execute(async (one) => {
      await sql`begin`.execute(one)
      await one.insertInto('note').values({ text: 'a' }).execute()
      expect(await app.rows()).toEqual([])
      await sql`commit`.execute(one)
      await one.insertInto('note').values({ text: 'b' }).execute()
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert b'])
  })

  test('belongs to that client: the rest of the program is not in it', async () => {
    await withConnected(async (client) => {
      await client.query('begin')
      await client.query(INSERT, ['a'])
      expect(app.shared.inTransaction).toBe(false)
      await app.orm.insert(notes).values({ text: 'elsewhere' })
      await client.query('rollback')
    })
    expect(await app.rows()).toEqual(['elsewhere'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert elsewhere', 'rollback'])
  })

  test('that is open when the client is released is rolled back', async () => {
    await withConnected(async (client) => {
      await client.query('begin')
      await client.query(INSERT, ['a'])
    })
    await app.orm.insert(notes).values({ text: 'b' })
    expect(await app.rows()).toEqual(['b'])
    const [first, , last] = app.transcript.events()
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b'])
    expect(last?.processID).not.toBe(first?.processID)
  })

  test('shows in the status of its client, though BEGIN is deferred', async () => {
    const steps = ['begin', INSERT, 'savepoint x', 'select 1 / 0', 'rollback to x', 'select 1']
    const statuses = async (last: string): Promise<unknown[]> => {
      const client = await app.pool.connect()
      const seen = [client.getTransactionStatus()]
      for (const step of [...steps, last]) {
        await client.query(step, step === INSERT ? ['a'] : []).catch(() => {})
        seen.push(client.getTransactionStatus())
      }
      client.release()
      return seen
    }
    // This is the server's status. pg reports 'E' when it has read ReadyForQuery, perhaps after the error.
    const told = ['I', 'T', 'T', 'T', 'E', 'T', 'T', 'I']
    expect(await statuses('rollback')).toEqual(told)
    expect(await statuses('commit')).toEqual(told)
    expect(await app.rows()).toEqual(['a'])
    const sent = [
      'begin',
      'insert a',
      'savepoint "x"',
      'select',
      'rollback to savepoint "x"',
      'select',
    ]
    expect(app.transcript.lines()).toEqual([...sent, 'rollback', ...sent, 'commit'])
  })

  test('has manual savepoints', async () => {
    await withConnected(async (client) => {
      await client.query('begin')
      await client.query('SAVEPOINT "A b"')
      await client.query(INSERT, ['a'])
      await client.query('rollback to "A b"')
      await client.query(INSERT, ['b'])
      await client.query('release "A b"')
      await client.query('savepoint x')
      await client.query(INSERT, ['c'])
      await client.query('commit')
    })
    expect(await app.rows()).toEqual(['b', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint "A b"',
      'insert a',
      'rollback to savepoint "A b"',
      'insert b',
      'release savepoint "A b"',
      'savepoint "x"',
      'insert c',
      'commit',
    ])
  })
})

describe('on the pool, outside a transaction', () => {
  test.each(['begin', 'BEGIN;', '/* x */ begin', 'start transaction read only', 'begin; select 1'])(
    '%j is refused, since no code would own the transaction',
    async (text) => {
      const failure = await failureOf(app.pool.query(text))
      expect(failure.name).toMatch(/ControlStatementError|TransactionDriftError/)
      expect(await app.rows()).toEqual([])
      if (!text.includes('select')) expect(app.transcript.lines()).toEqual([])
    },
  )
})

describe.each(speakers)('inside a block of $name', (outer) => {
  test.each([
    'commit',
    'END',
    'commit and chain',
    'rollback and chain',
    `prepare transaction 'x'`,
    'insert into note (text) values (1); commit',
    'commit; begin',
  ])('%j is refused before it is sent', async (text) => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const failure = await failureOf(app.pool.query(text))
      expect(failure.name).toBe('ControlStatementError')
      expect(failure.message).toContain('Nothing was sent')
      await outer.note(app, 'b')
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  })

  test('rollback is mirrored: the block rejects', async () => {
    const failing = outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.pool.query('rollback')
      expect(app.shared.inTransaction).toBe(false)
    })
    expect((await failureOf(failing)).name).toBe('TransactionAbortedError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })

  test('nothing runs after a manual rollback', async () => {
    const failing = outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.pool.query('rollback')
      await outer.note(app, 'b')
    })
    expect((await failureOf(failing)).name).toBe('TransactionClosedError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })

  test('begin is a savepoint, and what ends it ends that', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await withConnected(async (client) => {
        await client.query('begin')
        await client.query(INSERT, ['b'])
        await client.query('rollback')
        await client.query('begin')
        await client.query(INSERT, ['c'])
        await client.query('commit')
      })
    })
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'savepoint sp1',
      'insert c',
      'commit',
    ])
  })

  test('the status of a client says that it is in a transaction', async () => {
    const statuses: unknown[] = []
    await outer.block(app, () =>
      withConnected(async (client) => {
        statuses.push(client.getTransactionStatus())
        await outer.note(app, 'a')
        statuses.push(client.getTransactionStatus())
      }),
    )
    expect(statuses).toEqual(['T', 'T'])
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('manual savepoints belong to the block', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.pool.query('savepoint mine')
      await outer.note(app, 'b')
      await app.orm.transaction((tx) => tx.insert(notes).values({ text: 'c' }))
      await app.pool.query('rollback to savepoint mine')
      await outer.note(app, 'd')
      await app.pool.query('release mine')
    })
    expect(await app.rows()).toEqual(['a', 'd'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint "mine"',
      'insert b',
      'savepoint sp2',
      'insert c',
      'rollback to savepoint "mine"',
      'insert d',
      'commit',
    ])
  })

  test('the savepoint of a block cannot be ended manually', async () => {
    await outer.block(app, () =>
      outer.block(app, async () => {
        await outer.note(app, 'a')
        for (const text of ['release sp1', 'rollback to sp1']) {
          expect((await failureOf(app.pool.query(text))).name).toBe('ControlStatementError')
        }
      }),
    )
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'commit'])
  })
})
