import { drizzle, NodePgTransaction } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleOverProxy } from 'drizzle-orm/pg-proxy'
import { Kysely, MysqlDialect, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { logQueries, registerExtension, shareConnection } from 'shared-connection'
import { afterAll, afterEach, describe, expect } from 'vitest'
import { type Schema, useApp } from '../setup/app.ts'
import { testMistakes } from './mistakes.ts'

const app = useApp({ shared: { name: 'shop' } })
const other = useApp()

/** A value of the wrong type, as a program without types could give it. */
const wrong = (value: unknown): never => value as never

const SECRET = 'postgres://app:secret@db.internal/shop'
const ended = new Pool()
const idle = new Pool({ connectionString: SECRET })

const kyselyOn = (pool: Pool) => new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })

class NativeClient {
  query(): void {}
  connect(): void {}
  end(): void {}
  on(): void {}
}

class NativePool extends Pool {
  Client = NativeClient
}

afterEach(async () => {
  expect(app.transcript.lines()).toEqual([])
  expect(await app.rows()).toEqual([])
})
afterAll(() => idle.end())

describe('shareConnection()', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'of nothing',
      make: () => shareConnection(wrong(undefined)),
      says: 'InvalidArgumentError: expected a Drizzle database, got undefined. Give what drizzle(…) of drizzle-orm/node-postgres has made',
    },
    {
      what: 'of a URL, which is not printed',
      make: () => shareConnection(wrong(SECRET)),
      says: 'InvalidArgumentError: expected a Drizzle database, got a string. Give what drizzle(…) of drizzle-orm/node-postgres has made',
    },
    {
      what: 'of an object',
      make: () => shareConnection(wrong({ password: SECRET })),
      says: 'InvalidArgumentError: expected a Drizzle database, got an object. Give what drizzle(…) of drizzle-orm/node-postgres has made',
    },
    {
      what: 'of a pool',
      make: () => shareConnection(wrong(idle)),
      says: 'InvalidArgumentError: expected a Drizzle database, got a BoundPool. Give what drizzle(…) of drizzle-orm/node-postgres has made',
    },
    {
      what: 'of a Kysely database',
      make: () => shareConnection(wrong(kyselyOn(idle))),
      says: 'InvalidArgumentError: expected a Drizzle database, got a Kysely. Give what drizzle(…) of drizzle-orm/node-postgres has made',
    },
    {
      what: 'of a Drizzle transaction',
      make: () => drizzle({ client: idle }) && shareConnection(wrong(bareTransaction())),
      says: 'InvalidArgumentError: expected a Drizzle database, got a NodePgTransaction, which is a transaction or a part of one. Give the database that it is made from',
    },
    {
      what: 'of a Drizzle database on another driver',
      make: () => shareConnection(wrong(drizzleOverProxy(() => Promise.resolve({ rows: [] })))),
      says: 'InvalidArgumentError: expected a Drizzle database on node-postgres, got one on another driver (PgRemoteSession). Make it with drizzle(…) of drizzle-orm/node-postgres',
    },
    {
      what: 'of a Drizzle database on no client of pg',
      make: () => shareConnection(drizzle({ client: wrong({ query: () => undefined }) })),
      says: 'InvalidArgumentError: expected a Pool or Client of pg 8.21 or newer under Drizzle, got an object. Make the Drizzle database with drizzle(url) or drizzle({ client: new pg.Pool(…) }) of drizzle-orm/node-postgres',
    },
    {
      what: 'of a Drizzle database on a client of pg.native',
      make: () => shareConnection(drizzle({ client: wrong(new NativeClient()) })),
      says: 'InvalidArgumentError: expected a Pool or Client of pg 8.21 or newer under Drizzle, got pg.native, or a pg before 8.21. Make the Drizzle database with drizzle(url) or drizzle({ client: new pg.Pool(…) }) of drizzle-orm/node-postgres',
    },
    {
      what: 'of a Drizzle database on a pool of pg.native',
      make: () => shareConnection(drizzle({ client: wrong(new NativePool()) })),
      says: 'InvalidArgumentError: expected a Pool or Client of pg 8.21 or newer under Drizzle, got pg.native, or a pg before 8.21. Make the Drizzle database with drizzle(url) or drizzle({ client: new pg.Pool(…) }) of drizzle-orm/node-postgres',
    },
    {
      what: 'of a Drizzle database whose pool was ended',
      make: async () => {
        await ended.end()
        shareConnection(drizzle({ client: ended }))
      },
      says: 'InvalidArgumentError: the pool was ended: end() was called on it, and it gives out no more clients. Make a new pool, and a Drizzle database on it',
    },
    {
      what: 'with null for options',
      make: () => shareConnection(drizzle({ client: idle }), wrong(null)),
      says: 'InvalidArgumentError: the options of shareConnection() were null; give an object, or leave them out',
    },
    {
      what: 'with a text for options',
      make: () => shareConnection(drizzle({ client: idle }), wrong('join')),
      says: 'InvalidArgumentError: the options of shareConnection() were "join"; give an object, or leave them out',
    },
    {
      what: 'with a misspelt option',
      make: () => shareConnection(drizzle({ client: idle }), wrong({ lasy: true })),
      says: 'InvalidArgumentError: shareConnection() has no option "lasy"; its options are name, nesting, lazy, defaultIsolationLevel, turnTimeout, onHookError',
    },
    {
      what: 'with a nesting that there is not',
      make: () => shareConnection(drizzle({ client: idle }), { nesting: wrong('sometimes') }),
      says: 'InvalidArgumentError: the option nesting was "sometimes"; give "savepoint" or "join"',
    },
    {
      what: 'with a text for lazy',
      make: () => shareConnection(drizzle({ client: idle }), { lazy: wrong('yes') }),
      says: 'InvalidArgumentError: the option lazy was "yes"; give true or false',
    },
    {
      what: 'with a negative turnTimeout',
      make: () => shareConnection(drizzle({ client: idle }), { turnTimeout: -1 }),
      says: 'InvalidArgumentError: the option turnTimeout was -1; give a number of milliseconds from 0 to 2,147,483,647',
    },
    {
      what: 'with an isolation level that there is not',
      make: () =>
        shareConnection(drizzle({ client: idle }), { defaultIsolationLevel: wrong('dirty') }),
      says: 'InvalidArgumentError: the option defaultIsolationLevel was "dirty"; give one of read uncommitted, read committed, repeatable read, serializable',
    },
    {
      what: 'with an object for a name',
      make: () => shareConnection(drizzle({ client: idle }), { name: wrong({ password: SECRET }) }),
      says: 'InvalidArgumentError: the option name was an object; give a string',
    },
    {
      what: 'with a list for onHookError',
      make: () =>
        shareConnection(drizzle({ client: idle }), { onHookError: wrong([console.error]) }),
      says: 'InvalidArgumentError: the option onHookError was an Array; give a function',
    },
    {
      what: 'with other options than the first time',
      make: () => shareConnection(app.orm, { turnTimeout: 5, nesting: 'join' }),
      says: 'OptionsConflictError: this pool is shared already, with other options: nesting (was "savepoint", now "join"), turnTimeout (was 30000, now 5). Pass the options once, or the same ones each time',
    },
  ])
})

describe('extension()', () => {
  const fresh = () => kyselyOn(app.pool)
  testMistakes(import.meta.filename, [
    {
      what: 'of a misspelt name',
      make: () => fresh().extension<'shared-connection'>(wrong('share-connection')),
      says: 'InvalidArgumentError: extension() was given "share-connection", which is not the name of an extension. Give one of "shared-connection", or register yours with registerExtension()',
    },
    {
      what: 'with the options for a name',
      make: () => fresh().extension<'shared-connection'>(wrong({ drizzle: app.orm })),
      says: 'InvalidArgumentError: extension() was given an object, which is not the name of an extension. Give one of "shared-connection", or register yours with registerExtension()',
    },
    {
      what: 'with null for options',
      make: () => fresh().extension('shared-connection', wrong(null)),
      says: 'InvalidArgumentError: the options of extension() were null; give { drizzle: orm }, or leave them out',
    },
    {
      what: 'with a misspelt option',
      make: () =>
        fresh().extension('shared-connection', wrong({ drizle: app.orm, drizzle: app.orm })),
      says: 'InvalidArgumentError: extension() has no option "drizle"; its options are drizzle, name, nesting, lazy, defaultIsolationLevel, turnTimeout, onHookError',
    },
    {
      what: 'where two Drizzle databases are shared',
      make: () => fresh().extension('shared-connection'),
      says: 'AmbiguousDatabaseError: several Drizzle databases are shared (shop, number 2). Choose one: db.extension("shared-connection", { drizzle: orm })',
    },
    {
      what: 'of a Kysely database of another dialect',
      make: () =>
        new Kysely({ dialect: new MysqlDialect({ pool: wrong({}) }) }).extension(
          'shared-connection',
          { drizzle: app.orm },
        ),
      says: 'InvalidArgumentError: this Kysely database is of another dialect (MysqlAdapter): only PostgresDialect can share a connection of pg. Make it with new PostgresDialect({ pool: orm.$client })',
    },
    {
      what: 'of a subclass of Kysely',
      make: () =>
        new (class Shop extends Kysely<Schema> {})({
          dialect: new PostgresDialect({ pool: app.pool }),
        }).extension('shared-connection', { drizzle: app.orm }),
      says: 'InvalidArgumentError: this Kysely database is a Shop, and what is made of it would have none of its own methods and fields. Extend a plain new Kysely(…) and keep what extension() gives in a field of your class',
    },
    {
      what: 'of a Kysely database that shares with another',
      make: () => app.db.extension('shared-connection', { drizzle: other.orm }),
      says: 'InvalidArgumentError: this Kysely database shares the connection of another Drizzle database already: that of the database "shop". Extend a Kysely database that was made with new PostgresDialect({ pool: orm.$client }) for this one',
    },
    {
      what: 'of a Kysely transaction',
      make: () =>
        kyselyOn(app.observer)
          .transaction()
          .execute(async (trx) => trx.extension('shared-connection', { drizzle: app.orm })),
      says: 'InvalidArgumentError: a Kysely transaction was given: extend the database that it is made from',
    },
    {
      what: 'of a Kysely database on another pool, at its first use',
      make: () =>
        kyselyOn(app.observer)
          .extension('shared-connection', { drizzle: app.orm })
          .selectFrom('note')
          .selectAll()
          .execute(),
      says: 'DifferentPoolError: this Kysely database takes its connections from another pool than the Drizzle database that it was to share with (the database "shop"). Make it with new PostgresDialect({ pool: orm.$client }), or let shared.kysely() make it. Nothing was sent',
      isPlaceless: true,
    },
  ])
})

describe('registerExtension()', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'without a function',
      make: () => registerExtension('audited', wrong({})),
      says: 'InvalidArgumentError: registerExtension() was given "audited" and an object; give a name and a function',
    },
    {
      what: 'without a name',
      make: () =>
        registerExtension(
          wrong(() => undefined),
          wrong(undefined),
        ),
      says: 'InvalidArgumentError: registerExtension() was given a function and undefined; give a name and a function',
    },
    {
      what: 'under a name that is taken',
      make: () => registerExtension('shared-connection', () => undefined),
      says: 'InvalidArgumentError: an extension "shared-connection" is registered already, with another function. Choose another name',
    },
  ])
})

describe('shared.transaction()', () => {
  const withOptions = (options: unknown) => () => app.shared.transaction(() => {}, wrong(options))
  testMistakes(import.meta.filename, [
    {
      what: 'without a function',
      make: () => app.shared.transaction(wrong({ retry: 3 })),
      says: 'InvalidArgumentError: shared.transaction() was given an object; give it a function',
    },
    {
      what: 'with null for options',
      make: withOptions(null),
      says: 'InvalidArgumentError: the options of shared.transaction() were null; give an object, or leave them out',
    },
    {
      what: 'with a text for options',
      make: withOptions('serializable'),
      says: 'InvalidArgumentError: the options of shared.transaction() were "serializable"; give an object, or leave them out',
    },
    {
      what: 'with a misspelt option',
      make: withOptions({ isolation: 'serializable' }),
      says: 'InvalidArgumentError: shared.transaction() has no option "isolation"; its options are propagation, isolationLevel, accessMode, deferrable, signal, timeout and retry',
    },
    {
      what: 'with a propagation that there is not',
      make: withOptions({ propagation: 'require-new' }),
      says: 'InvalidArgumentError: propagation was "require-new"; give one of nested, required, requires-new, mandatory, supports, not-supported, never',
    },
    {
      what: 'with an isolation level that there is not',
      make: withOptions({ isolationLevel: 'serializable; drop table note' }),
      says: 'TransactionOptionError: isolationLevel was "serializable; drop table note"; PostgreSQL knows read uncommitted, read committed, repeatable read, serializable',
    },
    {
      what: 'with an object for an isolation level',
      make: withOptions({ isolationLevel: { password: SECRET } }),
      says: 'TransactionOptionError: isolationLevel was an object; PostgreSQL knows read uncommitted, read committed, repeatable read, serializable',
    },
    {
      what: 'with an access mode that there is not',
      make: withOptions({ accessMode: 'readonly' }),
      says: 'TransactionOptionError: accessMode was "readonly"; PostgreSQL knows "read only" and "read write"',
    },
    {
      what: 'with a text for deferrable',
      make: withOptions({ deferrable: 'yes' }),
      says: 'TransactionOptionError: deferrable was "yes"; give true or false',
    },
    {
      what: 'with a controller for a signal',
      make: withOptions({ signal: new AbortController() }),
      says: 'InvalidArgumentError: signal was an AbortController; give an AbortSignal',
    },
    {
      what: 'with a text for a timeout',
      make: withOptions({ timeout: '5 s' }),
      says: 'InvalidArgumentError: timeout was "5 s"; give a number of milliseconds from 1 to 2,147,483,647',
    },
    {
      what: 'with a timeout of zero',
      make: withOptions({ timeout: 0 }),
      says: 'InvalidArgumentError: timeout was 0; give a number of milliseconds from 1 to 2,147,483,647',
    },
    {
      what: 'with true for retry',
      make: withOptions({ retry: true }),
      says: 'InvalidArgumentError: retry was true; give a number of repetitions from 0, or { limit, delay, maxDelay, onRetry }',
    },
    {
      what: 'with a negative number of repetitions',
      make: withOptions({ retry: -1 }),
      says: 'InvalidArgumentError: retry was -1; give a number of repetitions from 0, or { limit, delay, maxDelay, onRetry }',
    },
    {
      what: 'with a text for a delay',
      make: withOptions({ retry: { delay: '20 ms' } }),
      says: 'InvalidArgumentError: retry.delay was "20 ms"; give a number from 0 to 2,147,483,647',
    },
    {
      what: 'with a misspelt option of retry',
      make: withOptions({ retry: { times: 3 } }),
      says: 'InvalidArgumentError: retry has no option "times"; its options are limit, delay, maxDelay and onRetry',
    },
    {
      what: 'with a name for onRetry',
      make: withOptions({ retry: { onRetry: 'log' } }),
      says: 'InvalidArgumentError: retry.onRetry was "log"; give a function',
    },
    {
      what: 'with a timeout where there may be no transaction',
      make: withOptions({ propagation: 'supports', timeout: 5 }),
      says: 'InvalidArgumentError: propagation "supports" may run without a transaction, which these options require: timeout. Leave them out',
    },
    {
      what: 'with an isolation level where there may be no transaction',
      make: withOptions({ propagation: 'never', isolationLevel: 'serializable' }),
      says: 'InvalidArgumentError: propagation "never" may run without a transaction, which these options require: isolationLevel. Leave them out',
    },
    {
      what: 'that must be in a transaction, outside',
      make: withOptions({ propagation: 'mandatory' }),
      says: 'PropagationError: propagation "mandatory" requires a transaction, but none is open here. Call it inside a transaction, or use propagation "required", which begins one where there is none',
    },
  ])
})

describe('other methods', () => {
  testMistakes(import.meta.filename, [
    {
      what: 'shared.batch() of one builder',
      make: () => app.shared.batch(wrong(app.db.selectFrom('note').selectAll())),
      says: 'InvalidArgumentError: shared.batch() was given a SelectQueryBuilderImpl; give it an array of builders',
    },
    {
      what: 'shared.batch() of a text',
      make: () => app.shared.batch([wrong(`delete from note where text = '${SECRET}'`)]),
      says: 'InvalidArgumentError: item 0 of the batch is a string; give builders of Drizzle or Kysely that were not executed',
    },
    {
      what: 'shared.batch() of a builder that was executed',
      make: () =>
        app.shared.batch([app.db.selectFrom('note').selectAll(), wrong(Promise.resolve([]))]),
      says: 'InvalidArgumentError: item 1 of the batch is a Promise; give builders of Drizzle or Kysely that were not executed',
    },
    {
      what: 'shared.within() without a handle',
      make: () => app.shared.within(wrong(undefined), () => {}),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got undefined. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'shared.outside() without a function',
      make: () => app.shared.outside(wrong(Promise.resolve())),
      says: 'InvalidArgumentError: shared.outside() was given a Promise; give it a function',
    },
    {
      what: 'shared.withClient() without a function',
      make: () => app.shared.withClient(wrong('select 1')),
      says: 'InvalidArgumentError: shared.withClient() was given a string; give it a function',
    },
    {
      what: 'shared.of() of the Drizzle database',
      make: () => app.shared.of(app.orm),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got a NodePgDatabase. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'shared.of() of the Kysely database',
      make: () => app.shared.of(app.db),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got a SharedKysely. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'shared.of() of a URL',
      make: () => app.shared.of(wrong(SECRET)),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got a string. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'shared.drizzleFor() of nothing',
      make: () => app.shared.drizzleFor(wrong(null)),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got null. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'shared.kyselyFor() of an object',
      make: () => app.shared.kyselyFor({ password: SECRET }),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got an object. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'shared.kysely() with a pool',
      make: () => app.shared.kysely(wrong({ pool: idle })),
      says: 'InvalidArgumentError: shared.kysely() was given a pool, but its connections are those of the Drizzle database. Leave it out',
    },
    {
      what: 'shared.kysely() with null for options',
      make: () => app.shared.kysely(wrong(null)),
      says: 'InvalidArgumentError: the options of shared.kysely() were null; give an object, or leave them out',
    },
    {
      what: 'a hook that is no function',
      make: () => app.shared.afterCommit(wrong('welcome')),
      says: 'InvalidArgumentError: the after-commit hook was "welcome"; give a function',
    },
    {
      what: 'a hook that was called in place',
      make: () => app.db.afterRollback(wrong(Promise.resolve())),
      says: 'InvalidArgumentError: the after-rollback hook was a Promise; give a function',
    },
    {
      what: 'a hook with null for options',
      make: () => app.shared.beforeCommit(() => {}, wrong(null)),
      says: 'InvalidArgumentError: the options of a hook were null; give an object, or leave them out',
    },
    {
      what: 'a hook with a misspelt option',
      make: () => app.shared.afterCommit(() => {}, wrong({ scop: 'transaction' })),
      says: 'InvalidArgumentError: a hook has no option "scop"; its options are scope, on, outside',
    },
    {
      what: 'a hook with a scope that there is not',
      make: () => app.shared.afterCommit(() => {}, { scope: wrong('block') }),
      says: 'InvalidArgumentError: the option scope of a hook was "block"; give "savepoint" or "transaction"',
    },
    {
      what: 'a hook with something else outside',
      make: () => app.shared.afterCompletion(() => {}, { outside: wrong('ignore') }),
      says: 'InvalidArgumentError: the option outside of a hook was "ignore"; give "run" or "throw"',
    },
    {
      what: 'a hook on the Kysely database',
      make: () => app.shared.afterCommit(() => {}, { on: app.db }),
      says: 'InvalidArgumentError: expected a transaction handle of the database "shop", got a SharedKysely. Give the tx or trx of a transaction of the same shared connection',
    },
    {
      what: 'a hook outside a transaction, where that is an error',
      make: () => app.shared.afterCommit(() => {}, { outside: 'throw' }),
      says: 'NoTransactionError: the after-commit hook was not registered: no transaction is open here. Register it inside a transaction, or leave out outside: "throw"',
    },
    {
      what: 'logQueries() with a function',
      make: () => logQueries(wrong(console.log)),
      says: 'InvalidArgumentError: the options of logQueries() were a function; give an object, or leave them out',
    },
    {
      what: 'logQueries() with a stream',
      make: () => logQueries({ write: wrong(process.stdout) }),
      says: 'InvalidArgumentError: the option write of logQueries() was a Socket; give a function',
    },
    {
      what: 'logQueries() with a misspelt option',
      make: () => logQueries(wrong({ params: true })),
      says: 'InvalidArgumentError: logQueries() has no option "params"; its options are write and parameters',
    },
    {
      what: 'logQueries() with null',
      make: () => logQueries(wrong(null)),
      says: 'InvalidArgumentError: the options of logQueries() were null; give an object, or leave them out',
    },
  ])
})

/** A Drizzle transaction, as the callback of one gets it. */
function bareTransaction(): unknown {
  const { session, dialect } = app.orm as unknown as { session: object; dialect: object }
  return Object.create(
    { constructor: NodePgTransaction },
    { _: { value: { session } }, dialect: { value: dialect } },
  )
}
