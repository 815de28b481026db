import { drizzle } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleOverProxy } from 'drizzle-orm/pg-proxy'
import { Kysely, MysqlDialect, PostgresDialect, SqliteDialect } from 'kysely'
import { Client, Pool } from 'pg'
import {
  type DrizzleLike,
  isSharedConnectionError,
  registerExtension,
  shareConnection,
  type SharedConnectionOptions,
} from 'shared-connection'
import { afterEach, describe, expect, test } from 'vitest'
import { type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const app = useApp()

/** Returns the error of a call that throws or rejects. */
const failing = (call: () => unknown): Promise<Error> =>
  failureOf(Promise.resolve().then<unknown>(call))

const expectRefusal = (failure: Error, name: string, ...says: (string | RegExp)[]): void => {
  expect(failure.name, failure.message).toBe(name)
  expect(isSharedConnectionError(failure)).toBe(true)
  for (const words of says) expect(failure.message).toMatch(words)
}

afterEach(async () => {
  expect(app.transcript.lines()).toEqual([])
  expect(await app.rows()).toEqual([])
})

describe('shareConnection(orm)', () => {
  test.each([
    ['nothing', undefined, /got undefined/],
    ['null', null, /got null/],
    ['a text', 'postgres://', /got postgres|got a string/],
    ['an object', {}, /got an? Object/i],
    ['a pool', new Pool(), /got a .*Pool/],
    [
      'a Kysely database',
      new Kysely({ dialect: new PostgresDialect({ pool: new Pool() }) }),
      /Kysely/,
    ],
  ])('given %s', async (_, given, says) => {
    const failure = await failing(() => shareConnection(given as unknown as DrizzleLike))
    expectRefusal(failure, 'InvalidArgumentError', 'expected a Drizzle database', says, /Give what/)
  })

  test('given a Drizzle database on another driver', async () => {
    const orm = drizzleOverProxy(() => Promise.resolve({ rows: [] }))
    const failure = await failing(() => shareConnection(orm as unknown as DrizzleLike))
    expectRefusal(failure, 'InvalidArgumentError', 'another driver', 'node-postgres')
  })

  test('given a Drizzle database on pg.native', async () => {
    class NativeClient {
      query(): void {}
      connect(): void {}
      end(): void {}
      on(): void {}
    }
    class NativePool extends Pool {
      Client = NativeClient
    }
    for (const client of [new NativeClient(), new NativePool()]) {
      const orm = drizzle({ client: client as unknown as Pool })
      expectRefusal(
        await failing(() => shareConnection(orm)),
        'InvalidArgumentError',
        'pg.native',
        'pg 8.21 or newer',
        /Make the Drizzle database/,
      )
    }
  })

  test('given a Drizzle database on something that is not pg at all', async () => {
    const orm = drizzle({ client: { query: () => undefined } as unknown as Pool })
    expectRefusal(
      await failing(() => shareConnection(orm)),
      'InvalidArgumentError',
      'expected a Pool or Client of pg',
    )
  })

  test('given a pool that was ended', async () => {
    const pool = new Pool({ connectionString: app.url })
    const orm = drizzle({ client: pool })
    await pool.end()
    const failure = await failing(() => shareConnection(orm))
    expectRefusal(failure, 'InvalidArgumentError', 'the pool was ended', 'Make a new pool')
  })

  test('given a pool that was ended after it was shared, which is then disposed of', async () => {
    const pool = new Pool({ connectionString: app.url })
    const orm = drizzle({ client: pool })
    shareConnection(orm)
    await pool.end()
    const failure = await failing(() => shareConnection(orm))
    expectRefusal(failure, 'InvalidArgumentError', 'the pool was ended', 'Make a new pool')
    // So only the other database of this program is shared now.
    const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: app.pool }) })
    expect(db.extension('shared-connection').shared).toBe(app.shared)
  })

  test('given a client that is not connected: refused at its first use', async () => {
    const client = new Client(app.url)
    const orm = drizzle({ client })
    const shared = shareConnection(orm)
    expect(shared.inTransaction).toBe(false)
    shared.dispose()
    await client.end()
  })

  const options: readonly [SharedConnectionOptions, RegExp][] = [
    [{ nesting: 'sometimes' as 'join' }, /nesting was "sometimes"; give "savepoint" or "join"/],
    [{ lazy: 'yes' as unknown as boolean }, /lazy was "yes"; give true or false/],
    [{ turnTimeout: -1 }, /turnTimeout was -1; give a number of milliseconds/],
    [{ turnTimeout: Number.NaN }, /turnTimeout was NaN/],
    [
      { defaultIsolationLevel: 'nope' as 'serializable' },
      /was "nope"; give one of read uncommitted/,
    ],
    [{ name: 5 as unknown as string }, /name was 5; give a string/],
    [{ onHookError: 'x' as never }, /onHookError was "x"; give a function/],
    [{ lasy: true } as SharedConnectionOptions, /no option "lasy"; its options are .*lazy/],
  ]
  test.each(options)('given the options %j', async (given, says) => {
    const pool = new Pool({ connectionString: app.url })
    const failure = await failing(() => shareConnection(drizzle({ client: pool }), given))
    expectRefusal(failure, 'InvalidArgumentError', says)
  })

  test('given other options than at the first time', async () => {
    const failure = await failing(() => shareConnection(app.orm, { lazy: false, name: 'x' }))
    expectRefusal(failure, 'OptionsConflictError', /lazy \(was true, now false\)/, /name/)
    expect(shareConnection(app.orm, { lazy: true })).toBe(app.shared)
  })
})

describe('extension()', () => {
  test('checks the options also where the Drizzle database is left out', async () => {
    const options = { nesting: 'join', nonsense: 1 } as SharedConnectionOptions
    const unknown = await failing(() => fresh().extension('shared-connection', options))
    expectRefusal(unknown, 'InvalidArgumentError', 'no option "nonsense"')
    const other = await failing(() => fresh().extension('shared-connection', { nesting: 'join' }))
    expectRefusal(other, 'OptionsConflictError', 'nesting (was "savepoint", now "join")')
  })

  test.each([null, 5])('given %s for options', async (options) => {
    const failure = await failing(() => fresh().extension('shared-connection', options as never))
    expectRefusal(failure, 'InvalidArgumentError', `were ${options}; give { drizzle: orm }`)
  })

  test('given the options in place of the name, of which it prints nothing', async () => {
    const failure = await failing(() =>
      fresh().extension<'shared-connection'>({ drizzle: app.orm } as never),
    )
    expectRefusal(
      failure,
      'InvalidArgumentError',
      /^extension\(\) was given an object, which is not the name of an extension\./,
    )
  })

  test('given a subclass of Kysely, whose methods would be lost', async () => {
    class DatabaseService extends Kysely<Schema> {}
    const service = new DatabaseService({ dialect: new PostgresDialect({ pool: app.pool }) })
    const failure = await failing(() =>
      service.extension('shared-connection', { drizzle: app.orm }),
    )
    expectRefusal(
      failure,
      'InvalidArgumentError',
      'is a DatabaseService',
      'in a field of your class',
    )
  })

  const fresh = (pool: Pool = app.pool) =>
    new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })

  test('that is not registered', async () => {
    const failure = await failing(() =>
      fresh().extension('share-connection' as 'shared-connection'),
    )
    expectRefusal(failure, 'InvalidArgumentError', '"share-connection"', 'shared-connection')
  })

  test('registered under a name that is taken', async () => {
    const failure = await failing(() => registerExtension('shared-connection', () => undefined))
    expectRefusal(failure, 'InvalidArgumentError', '"shared-connection"', 'Choose another name')
  })

  test('of a Kysely database of another dialect', async () => {
    const others = [
      new Kysely({ dialect: new MysqlDialect({ pool: {} as never }) }),
      new Kysely({ dialect: new SqliteDialect({ database: {} as never }) }),
    ]
    for (const db of others) {
      const failure = await failing(() => db.extension('shared-connection', { drizzle: app.orm }))
      expectRefusal(failure, 'InvalidArgumentError', /another dialect \(\w+\)/, 'orm.$client')
    }
  })

  test('of a transaction', async () => {
    const transaction = fresh().transaction()
    await transaction.execute(async (trx) => {
      const failure = await failing(() => trx.extension('shared-connection', { drizzle: app.orm }))
      expectRefusal(failure, 'InvalidArgumentError', /transaction/, /extend the database/)
      await Promise.resolve()
    })
    app.transcript.clear()
  })

  test('of a Kysely database on another pool: refused at its first use', async () => {
    const other = new Pool({ connectionString: app.url })
    const db = fresh(other).extension('shared-connection', { drizzle: app.orm })
    const uses = [
      () => db.insertInto('note').values({ text: 'a' }).execute(),
      () =>
        db.transaction().execute((trx) => trx.insertInto('note').values({ text: 'a' }).execute()),
      () => db.startTransaction().execute(),
      () => app.orm.transaction(() => db.insertInto('note').values({ text: 'a' }).execute()),
      () => db.connection().execute((one) => one.selectFrom('note').selectAll().execute()),
      () => db.selectFrom('note').selectAll().stream().next(),
    ]
    for (const use of uses) {
      expectRefusal(await failing(use), 'DifferentPoolError', 'orm.$client', 'shared.kysely()')
    }
    expect(other.totalCount - other.idleCount).toBe(0)
    await other.end()
  })

  test('of a database that shares with another already', async () => {
    const pool = new Pool({ connectionString: app.url })
    const shared = shareConnection(drizzle({ client: pool }))
    const failure = await failing(() =>
      app.db.extension('shared-connection', { drizzle: drizzle({ client: pool }) }),
    )
    expectRefusal(failure, 'InvalidArgumentError', 'another Drizzle database already')
    shared.dispose()
    await pool.end()
  })
})

describe('calls', () => {
  test('shared.transaction() without a function', async () => {
    const failure = await failing(() => app.shared.transaction({} as unknown as () => void))
    expectRefusal(failure, 'InvalidArgumentError', /given an object; give it a function/)
  })

  test('shared.transaction() with an unknown option', async () => {
    const failure = await failing(() =>
      app.shared.transaction(() => {}, { isolation: 'serializable' } as object),
    )
    expect(isSharedConnectionError(failure)).toBe(true)
    expect(failure.message).toMatch(/isolation\b.*isolationLevel/)
  })

  test('an unknown isolation level', async () => {
    const modes = { isolationLevel: 'serializable; drop table note' as 'serializable' }
    expectRefusal(
      await failing(() => app.shared.transaction(() => {}, modes)),
      'TransactionOptionError',
      /isolationLevel was "serializable; drop table note"/,
      /read committed, repeatable read/,
    )
    expectRefusal(
      await failing(() => app.orm.transaction(() => Promise.resolve(), modes)),
      'TransactionOptionError',
      /drop/,
      /Nothing was sent|PostgreSQL knows/,
    )
  })

  test('BEGIN on the pool', async () => {
    expectRefusal(
      await failing(() => app.pool.query('begin')),
      'ControlStatementError',
      '"begin"',
      'belongs to nobody',
      'pool.connect()',
    )
  })

  test('a hook that is not a function', async () => {
    expectRefusal(
      await failing(() => app.shared.afterCommit('x' as unknown as () => void)),
      'InvalidArgumentError',
      /hook was "x"; give a function/,
    )
  })

  test("a hook outside a transaction, with { outside: 'throw' }", async () => {
    expectRefusal(
      await failing(() => app.shared.afterCommit(() => {}, { outside: 'throw' })),
      'NoTransactionError',
      'no transaction is open here',
    )
  })

  test('a client that was released', async () => {
    const client = await app.orm.$client.connect()
    client.release()
    const failure = await failing(() => client.query('select 1'))
    expectRefusal(failure, 'ClientReleasedError', 'Nothing was sent')
    expect(() => client.release()).toThrow(/already been released/)
  })

  test.each([undefined, null])('pool.query(%s) rejects, as without the bridge', async (none) => {
    const refused = (pool: Pool): Promise<Error> => failureOf(pool.query(none as never))
    const calledBack = (pool: Pool): Promise<unknown> =>
      new Promise((resolve) => pool.query(none as never, resolve as () => void))
    const { name, message } = await refused(app.observer)
    expect(name).toBe('TypeError')
    const ways = [() => refused(app.pool), () => calledBack(app.pool)]
    for (const way of ways) {
      expect(await way()).toMatchObject({ name, message })
      await app.shared.transaction(async () => {
        expect(await way()).toMatchObject({ name, message })
      })
    }
  })

  test('pool.query(fn) calls the function with the error of the pool', async () => {
    const told = (pool: Pool): Promise<Error> =>
      new Promise((resolve) => {
        expect(pool.query(resolve as never)).toBeUndefined()
      })
    const { message } = await told(app.observer)
    expect(message).toContain('Passing a function')
    expect(await told(app.pool)).toMatchObject({ message })
    await app.shared.transaction(async () => {
      expect(await told(app.pool)).toMatchObject({ message })
    })
  })

  test('an invalid query, on a client', async () => {
    const client = await app.pool.connect()
    expect(() => client.query(undefined as unknown as string)).toThrow(TypeError)
    client.release()
  })
})
