import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { sql as kyselySql } from 'kysely'
import { Pool } from 'pg'
import { shareConnection, type SharedTransaction } from 'shared-connection'
import { describe } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { gate } from '../setup/gate.ts'
import { testMistakes } from './mistakes.ts'

const app = useApp({ shared: { name: 'shop' } })
const other = useApp({ shared: { name: 'stock' } })
const unnamed = useApp()
const small = useApp({ pool: { max: 1 }, shared: { turnTimeout: 50 } })
const joining = useApp({ shared: { nesting: 'join' } })

const wrong = (value: unknown): never => value as never

/** Runs `fn` with handles of a transaction of each layer that has ended. */
async function ended(): Promise<{ tx: Tx; trx: Trx }> {
  return app.shared.transaction(async ({ tx, trx }) => ({ tx, trx }) as never)
}
type Tx = Parameters<Parameters<typeof app.orm.transaction>[0]>[0]
type Trx = SharedTransaction<Schema>

/** Drizzle's types know no options of a nested block, but the bridge does. */
const nestOn = (tx: object) => (tx as Pick<typeof app.orm, 'transaction'>).transaction

const failing = (): Promise<unknown> => app.orm.execute(sql`select 1/0`).catch(() => {})

describe('a handle', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'of Drizzle, used after the end',
      make: async () => (await ended()).tx.insert(notes).values({ text: 'a' }),
      says: [
        'TransactionClosedError: the statement was not sent: the transaction (shared) on shop has committed. To work outside it on purpose, use shared.outside().',
        'It began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of Kysely, used after the end',
      make: async () => (await ended()).trx.insertInto('note').values({ text: 'a' }).execute(),
      says: [
        'TransactionClosedError: the statement was not sent: the transaction (shared) on shop has committed. To work outside it on purpose, use shared.outside().',
        'It began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of Drizzle, nested after the end',
      make: async () => (await ended()).tx.transaction(async () => {}),
      says: [
        'TransactionClosedError: the statement was not sent: the transaction (shared) on shop has committed. To work outside it on purpose, use shared.outside().',
        'It began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of Kysely, nested after the end',
      make: async () => (await ended()).trx.transaction().execute(async () => {}),
      says: [
        'TransactionClosedError: the statement was not sent: the transaction (shared) on shop has committed. To work outside it on purpose, use shared.outside().',
        'It began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'with a hook after the end',
      make: async () => app.shared.afterCommit(() => {}, { on: (await ended()).tx }),
      says: [
        'TransactionClosedError: the hook was not registered: the transaction (shared) on shop has committed. To work outside it on purpose, use shared.outside().',
        'It began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'entered after the end',
      make: async () => app.shared.within((await ended()).trx, () => {}),
      says: [
        'TransactionClosedError: within() has nothing to run in: the transaction (shared) on shop has committed. To work outside it on purpose, use shared.outside().',
        'It began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'entered without a function',
      make: () => app.orm.transaction((tx) => app.shared.within(tx, wrong(undefined))),
      says: 'InvalidArgumentError: shared.within() was given undefined; give it a function',
    },
    {
      what: 'of another database, entered',
      make: () => other.orm.transaction((tx) => app.shared.within(tx, () => {})),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got one of the database "stock". Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'of a database without a name',
      make: () => unnamed.orm.transaction(async (tx) => app.shared.of(tx)),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got one of a database without a name. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'of a database with a name, where this has none',
      make: () => app.orm.transaction(async (tx) => unnamed.shared.drizzleFor(tx)),
      says: 'InvalidArgumentError: expected a transaction handle of a database without a name, got one of the database "shop". Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'of another database, for a hook',
      make: () =>
        other.db.transaction().execute((trx) => app.shared.afterCommit(() => {}, { on: trx })),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got one of the database "stock". Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'with a Kysely database of another',
      make: () => app.orm.transaction(async (tx) => app.shared.kyselyFor(tx, other.db as never)),
      says: 'InvalidArgumentError: kyselyFor() was given a SharedKysely that does not share the connection of the database "shop". Extend it first: db.extension("shared-connection", { drizzle: orm })',
    },
  ])
})

describe('options of a nested block', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'an isolation level, through Drizzle',
      make: () =>
        app.orm.transaction(() =>
          app.orm.transaction(async () => {}, { isolationLevel: 'serializable' }),
        ),
      says: [
        'TransactionOptionError: asked for isolation level serializable inside the transaction (drizzle) on shop, but it runs at read committed. Ask for it where the transaction begins, or use propagation: "requires-new" for one of its own. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'an isolation level, on a handle of Drizzle',
      make: () =>
        app.orm.transaction((tx) =>
          nestOn(tx)(async () => {}, {
            isolationLevel: 'serializable',
          }),
        ),
      says: [
        'TransactionOptionError: asked for isolation level serializable inside the transaction (drizzle) on shop, but it runs at read committed. Ask for it where the transaction begins, or use propagation: "requires-new" for one of its own. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'a text, on a handle of Drizzle',
      make: () => app.orm.transaction((tx) => nestOn(tx)(async () => {}, wrong('serializable'))),
      says: 'TransactionOptionError: the options of the transaction were "serializable"; give an object with isolationLevel, accessMode, deferrable',
    },
    {
      what: 'an isolation level, through Kysely',
      make: () =>
        app.orm.transaction(() =>
          app.db
            .transaction()
            .setIsolationLevel('serializable')
            .execute(async () => {}),
        ),
      says: [
        'TransactionOptionError: asked for isolation level serializable inside the transaction (drizzle) on shop, but it runs at read committed. Ask for it where the transaction begins, or use propagation: "requires-new" for one of its own. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'an isolation level, through shared.transaction()',
      make: () =>
        app.orm.transaction(() =>
          app.shared.transaction(() => {}, { isolationLevel: 'serializable' }),
        ),
      says: [
        'TransactionOptionError: asked for isolation level serializable inside the transaction (drizzle) on shop, but it runs at read committed. Ask for it where the transaction begins, or use propagation: "requires-new" for one of its own. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'read write in read only',
      make: () =>
        app.orm.transaction(
          () =>
            app.db
              .transaction()
              .setAccessMode('read write')
              .execute(async () => {}),
          { accessMode: 'read only' },
        ),
      says: [
        'TransactionOptionError: asked for read write inside the transaction (drizzle) on shop, but it is read only. Ask for it where the transaction begins, or use propagation: "requires-new" for one of its own. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'deferrable',
      make: () =>
        app.orm.transaction(() => app.orm.transaction(async () => {}, { deferrable: true })),
      says: [
        'TransactionOptionError: asked for deferrable inside the transaction (drizzle) on shop, but only a new transaction can set that. Ask for it where the transaction begins, or use propagation: "requires-new" for one of its own. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'read only in a block that joins',
      make: () =>
        joining.orm.transaction(() =>
          joining.orm.transaction(async () => {}, { accessMode: 'read only' }),
        ),
      says: [
        'TransactionOptionError: asked for read only in a block that joins the transaction (drizzle), which may write. Only a savepoint can be narrowed: use propagation "nested". It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'a snapshot',
      make: () =>
        app.orm.transaction((tx) =>
          tx.transaction((inner) =>
            inner.execute(sql.raw("set transaction snapshot '00000003-0000001B-1'")),
          ),
        ),
      says: [
        'TransactionOptionError: a snapshot was asked for in savepoint sp1 (drizzle) on shop, but only a transaction can take one over, at its start. Ask for it where the transaction begins. Nothing was sent. The savepoint began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'retry',
      make: () => app.orm.transaction(() => app.shared.transaction(() => {}, { retry: 3 })),
      says: [
        'TransactionOptionError: retry was given inside the transaction (drizzle) on shop, but only a whole transaction can be repeated. Give it to the outermost shared.transaction(). Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'propagation "never"',
      make: () =>
        app.orm.transaction(() => app.shared.transaction(() => {}, { propagation: 'never' })),
      says: [
        'PropagationError: propagation "never" allows no transaction, but the transaction (drizzle) on shop is open here. Call it outside, or use propagation "not-supported", which leaves the transaction for that time. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
  ])
})

describe('a control command', () => {
  const inside = (text: string) => () =>
    app.orm.transaction(async () => {
      await app.orm.execute(sql`select 1`)
      await app.pool.query(text)
    })
  testMistakes(import.meta.filename, [
    {
      what: 'BEGIN on the pool',
      make: () => app.pool.query('begin'),
      says: 'ControlStatementError: "begin" was sent to the pool, which would open a transaction that belongs to nobody. Use transaction() of a layer, shared.transaction(), or a client from pool.connect(). Nothing was sent',
    },
    {
      what: 'COMMIT in a block',
      make: inside('commit'),
      says: [
        'ControlStatementError: "commit" was sent inside the transaction (drizzle) on shop, which ends with its own block. Return from the block to keep its work, throw to take it back. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'COMMIT through Drizzle',
      make: () => app.shared.transaction(({ tx }) => tx.execute(sql`commit`)),
      says: [
        'ControlStatementError: "commit" was sent inside the transaction (shared) on shop, which ends with its own block. Return from the block to keep its work, throw to take it back. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'COMMIT through Kysely',
      make: () => app.shared.transaction(({ trx }) => kyselySql`commit`.execute(trx)),
      says: [
        'ControlStatementError: "commit" was sent inside the transaction (shared) on shop, which ends with its own block. Return from the block to keep its work, throw to take it back. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'COMMIT AND CHAIN in a block',
      make: inside('commit and chain'),
      says: [
        'ControlStatementError: "commit and chain" was sent inside the transaction (drizzle) on shop, which ends with its own block. Return from the block to keep its work, throw to take it back. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'PREPARE TRANSACTION in a block',
      make: inside("prepare transaction 'x'"),
      says: [
        'ControlStatementError: "prepare transaction \'x\'" was sent inside the transaction (drizzle) on shop, which ends with its own block. Return from the block to keep its work, throw to take it back. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'several in one text in a block',
      make: inside('insert into note default values; commit'),
      says: [
        'ControlStatementError: "insert into note default values; commit" was sent inside the transaction (drizzle) on shop, which ends with its own block. Return from the block to keep its work, throw to take it back. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'that is none',
      make: inside('begin isolation level dirty'),
      says: 'TransactionOptionError: "begin isolation level dirty" is not a command that PostgreSQL takes, near "isolation level dirty". Nothing was sent',
    },
    {
      what: 'RELEASE of the savepoint of a block',
      make: () =>
        app.orm.transaction(() =>
          app.orm.transaction(() => app.pool.query('release savepoint sp1')),
        ),
      says: [
        'ControlStatementError: "release savepoint sp1" was sent inside savepoint sp1 (drizzle) on shop, which ends with its own block. Return from the block to keep its work, throw to take it back. Nothing was sent. The savepoint began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'ROLLBACK in a block, which then succeeds',
      make: inside('rollback'),
      says: [
        'TransactionAbortedError: the transaction (drizzle) on shop was rolled back instead of committed. The cause is the reason. If that is an error of a statement which the block has caught: let it leave the block, or catch it around a nested block. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'ROLLBACK in a nested block, which then goes on',
      make: () =>
        app.db.transaction().execute((trx) =>
          app.orm.transaction(async () => {
            await kyselySql`rollback`.execute(trx)
            await app.orm.insert(notes).values({ text: 'a' })
          }),
        ),
      says: [
        'TransactionClosedError: the statement was not sent: savepoint sp1 (drizzle) on shop was rolled back. To work outside it on purpose, use shared.outside().',
        'It began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
  ])
})

describe('a client', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'of the pool, used after its release',
      make: async () => {
        const client = await app.pool.connect()
        client.release()
        await client.query('select 1')
      },
      says: 'ClientReleasedError: the client was released, and others may use it now. Take another with pool.connect(), and release it after its last statement. Nothing was sent',
    },
    {
      what: 'of the pool, with several control commands in one text',
      make: async () => {
        const client = await app.pool.connect()
        try {
          await client.query('begin')
          await client.query('commit; begin')
        } finally {
          await client.query('rollback')
          client.release()
        }
      },
      says: [
        'ControlStatementError: "commit; begin" was sent in the transaction (pg) on shop, where the bridge could not follow it. Send BEGIN, COMMIT and ROLLBACK as statements of their own, and prepare a transaction on a client that is not shared. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of withClient() in a transaction, beside a statement of a layer',
      make: () =>
        app.orm.transaction(() =>
          app.shared.withClient(() => app.db.insertInto('note').values({ text: 'a' }).execute()),
        ),
      says: [
        'ControlStatementError: a statement was sent inside withClient(), which holds the connection until it ends, so it would wait for ever. Use the client that withClient() gives. Nothing was sent. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of withClient(), with COMMIT',
      make: () =>
        app.orm.transaction(() => app.shared.withClient((client) => client.query('commit'))),
      says: [
        'TransactionDriftError: the transaction (drizzle) on shop is gone: the server says that no transaction is open (status I). The code of withClient() has ended it, so how it ended is not known. Let the block end it: return to keep its work, throw to take it back. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of withClient(), with BEGIN',
      make: () => app.shared.withClient((client) => client.query('begin')),
      says: 'TransactionDriftError: the code of withClient() has opened a transaction that nobody holds (status T). Open it with transaction() of a layer, or with BEGIN as a statement of its own on a client from pool.connect(). The connection will be closed, so nothing of it is kept.',
      isPlaceless: true,
    },
    {
      what: 'of withClient(), whose error was swallowed',
      make: () =>
        app.orm.transaction(() =>
          app.shared.withClient(async (client) => {
            await client.query('select 1/0').catch(() => {})
          }),
        ),
      says: [
        'TransactionAbortedError: the transaction (drizzle) on shop was rolled back instead of committed. The cause is the reason. If that is an error of a statement which the block has caught: let it leave the block, or catch it around a nested block. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
  ])
})

describe('an error that was swallowed', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'in a transaction of Drizzle',
      make: () => app.orm.transaction(failing),
      says: [
        'TransactionAbortedError: the transaction (drizzle) on shop was rolled back instead of committed. The cause is the reason. If that is an error of a statement which the block has caught: let it leave the block, or catch it around a nested block. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'in a transaction of Kysely',
      make: () => app.db.transaction().execute(failing),
      says: [
        'TransactionAbortedError: the transaction (kysely) on shop was rolled back instead of committed. The cause is the reason. If that is an error of a statement which the block has caught: let it leave the block, or catch it around a nested block. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'in a transaction of shared',
      make: () => app.shared.transaction(failing),
      says: [
        'TransactionAbortedError: the transaction (shared) on shop was rolled back instead of committed. The cause is the reason. If that is an error of a statement which the block has caught: let it leave the block, or catch it around a nested block. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'in front of a nested block of Drizzle',
      make: () =>
        app.orm.transaction(async (tx) => {
          await failing()
          await tx.transaction(async () => {})
        }),
      says: [
        'TransactionAbortedError: the transaction (drizzle) on shop is aborted: a statement in it has failed (the cause), and only a rollback can end it. Let that error leave the block, or catch it around a nested block. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'in front of a nested block of shared',
      make: () =>
        app.shared.transaction(async () => {
          await failing()
          await app.shared.transaction(() => {})
        }),
      says: [
        'TransactionAbortedError: the transaction (shared) on shop is aborted: a statement in it has failed (the cause), and only a rollback can end it. Let that error leave the block, or catch it around a nested block. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of a block that has joined',
      make: () =>
        joining.orm.transaction(() =>
          joining.orm
            .transaction(async () => {
              throw new Error('boom')
            })
            .catch(() => {}),
        ),
      says: [
        'RollbackOnlyError: the transaction (drizzle) was rolled back: a block that joined it had failed (the cause). Let the error of such a block leave this one, or use propagation "nested", which gives it a savepoint. The transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'of a hook',
      make: () =>
        app.orm.transaction(async () => {
          await app.shared.afterCommit(() => {
            throw new Error('boom')
          })
        }),
      says: 'HookError: a hook failed; the transaction is committed',
    },
  ])
})

describe('a wait without an end', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'for a second client of a pool of one',
      make: () =>
        small.orm.transaction(async () => {
          await small.orm.execute(sql`select 1`)
          await small.shared.outside(() => small.orm.execute(sql`select 1`))
        }),
      says: [
        'PoolExhaustedError: the only client of the pool is held by a transaction, which waits for one more. Make the pool larger, or ask for the second client outside of the first transaction. The client was asked for',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'for a sibling that waits for it',
      make: () =>
        small.orm.transaction(async () => {
          const opened = gate()
          let second: Promise<unknown> | undefined
          const first = small.orm.transaction(async () => {
            opened.open()
            await later.passed
            await second
          })
          const later = gate()
          await opened.passed
          second = small.shared.transaction(() => small.orm.execute(sql`select 1`))
          later.open()
          await Promise.all([second, first])
        }),
      says: [
        'TurnTimeoutError: waited for a turn in the transaction (drizzle) while nothing happened for 50 ms in savepoint sp1 (drizzle). Does that block await what is waiting for it? The wait was asked for',
        '  at transactions.test.ts',
        'and the block in its way began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'for the end of the pool',
      make: () => {
        const orm = drizzle({ client: new Pool({ connectionString: small.url }) })
        shareConnection(orm, { turnTimeout: 50 })
        return orm.transaction(async () => {
          await orm.execute(sql`select 1`)
          await orm.$client.end()
        })
      },
      says: [
        'TurnTimeoutError: end() of the pool waits for the client of the transaction (drizzle), inside which it was called, and nothing happened on that client for 50 ms. Call it after the transaction, or do not await it there. It was asked for',
        '  at transactions.test.ts',
        'and the transaction began',
        '  at transactions.test.ts',
      ].join('\n'),
    },
  ])
})

describe('dispose()', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'while a transaction is open',
      make: () =>
        app.orm.transaction(async () => {
          await app.orm.execute(sql`select 1`)
          app.shared.dispose()
        }),
      says: 'DisposeError: 1 connection is in use. Dispose when all transactions have ended and all clients are given back',
    },
    {
      what: 'while two clients are out',
      make: async () => {
        const clients = [await app.pool.connect(), await app.pool.connect()]
        try {
          app.shared.dispose()
        } finally {
          for (const client of clients) client.release()
        }
      },
      says: 'DisposeError: 2 connections are in use. Dispose when all transactions have ended and all clients are given back',
    },
  ])
})

describe('after dispose()', () => {
  const gone = useApp({ shared: { name: 'gone' } })
  testMistakes(import.meta.filename, [
    {
      what: 'shared.transaction()',
      make: () => {
        gone.shared.dispose()
        return gone.shared.transaction(() => {})
      },
      says: [
        'DisposeError: the shared connection of the database "gone" was disposed of. Call shareConnection(orm) again, and use the shared connection and the Kysely database that you get from it. It was used',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'a statement of Kysely',
      make: () => gone.db.insertInto('note').values({ text: 'a' }).execute(),
      says: [
        'DisposeError: the shared connection of the database "gone" was disposed of. Call shareConnection(orm) again, and use the shared connection and the Kysely database that you get from it. It was used',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'a transaction of Kysely',
      make: () => gone.db.transaction().execute(async () => {}),
      says: [
        'DisposeError: the shared connection of the database "gone" was disposed of. Call shareConnection(orm) again, and use the shared connection and the Kysely database that you get from it. It was used',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'shared.withClient()',
      make: () => gone.shared.withClient(() => {}),
      says: [
        'DisposeError: the shared connection of the database "gone" was disposed of. Call shareConnection(orm) again, and use the shared connection and the Kysely database that you get from it. It was used',
        '  at transactions.test.ts',
      ].join('\n'),
    },
    {
      what: 'shared.batch()',
      make: () => gone.shared.batch([gone.db.selectFrom('note').selectAll()]),
      says: [
        'DisposeError: the shared connection of the database "gone" was disposed of. Call shareConnection(orm) again, and use the shared connection and the Kysely database that you get from it. It was used',
        '  at transactions.test.ts',
      ].join('\n'),
    },
  ])
})
