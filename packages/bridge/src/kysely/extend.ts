import {
  Kysely,
  type KyselyConfig,
  type KyselyPlugin,
  PostgresAdapter,
  PostgresDialect,
  type PostgresDialectConfig,
} from 'kysely'
import { InvalidArgumentError } from '../errors.ts'
import type { PgPool } from '../protocol/pg.ts'
import { nameOf } from '../settings.ts'
import { SharedExecutor } from './executor.ts'
import { type Bridge, bridgeOf, shareKysely } from './shared-kysely.ts'
import type { ExtendedKysely } from './types.ts'
import { inWords, kindOf } from '../wording.ts'

/** The options of `shared.kysely()`: those of Kysely and of its PostgreSQL dialect, but for the pool. */
export type KyselyOptions = Omit<KyselyConfig, 'dialect'> & Omit<PostgresDialectConfig, 'pool'>

/** Makes a Kysely database that uses the bridge's connections, and the user's log, plugins and driver. */
export function extendKysely<DB, Shared>(
  db: Kysely<DB>,
  bridge: Bridge,
): ExtendedKysely<DB, Shared> {
  const known = bridgeOf(db)
  if (known?.database === bridge.database) return db as ExtendedKysely<DB, Shared>
  assertExtensible(db, known)
  // Kysely keeps its parts in private fields. `withPlugin` hands them to the database that it makes,
  // together with the executor that the old executor makes. For this one call, that makes ours.
  const userExecutor = db.getExecutor()
  const executor = new SharedExecutor(bridge.database, userExecutor)
  Object.defineProperty(userExecutor, 'withPlugin', { value: () => executor, configurable: true })
  try {
    return shareKysely(db.withPlugin(undefined as never as KyselyPlugin), bridge)
  } finally {
    Reflect.deleteProperty(userExecutor, 'withPlugin')
  }
}

/** Makes a Kysely database on the bridge's connections with options for Kysely. */
export function makeKysely<DB, Shared>(
  bridge: Bridge,
  pool: Pick<PgPool, 'connect' | 'end' | 'options'>,
  options: KyselyOptions = {},
): ExtendedKysely<DB, Shared> {
  assertOptions(options)
  const { log, plugins, ...dialect } = options
  return extendKysely(
    new Kysely<DB>({
      dialect: new PostgresDialect({
        ...dialect,
        pool: pool as unknown as Exclude<PostgresDialectConfig['pool'], () => unknown>,
      }),
      ...(log !== undefined && { log }),
      ...(plugins !== undefined && { plugins }),
    }),
    bridge,
  )
}

function assertOptions(options: object): void {
  if (options === null || typeof options !== 'object') {
    throw new InvalidArgumentError(
      `the options of shared.kysely() were ${inWords(options)}; give an object, or leave them out`,
    )
  }
  const given = ['dialect', 'pool'].find((key) => key in options)
  if (given === undefined) return
  throw new InvalidArgumentError(
    `shared.kysely() was given a ${given}, but its connections are those of the Drizzle database. Leave it out`,
  )
}

function assertExtensible(db: unknown, known: Bridge | undefined): void {
  if (known !== undefined) {
    throw new InvalidArgumentError(
      `this Kysely database shares the connection of another Drizzle database already: that of ${nameOf(known.database.settings)}. ` +
        'Extend a Kysely database that was made with new PostgresDialect({ pool: orm.$client }) for this one',
    )
  }
  if (!(db instanceof Kysely)) {
    throw new InvalidArgumentError(
      'expected a Kysely database. If it is one, two copies of kysely are installed: let both resolve to one',
    )
  }
  if (!db.isTransaction && db.constructor !== Kysely) {
    throw new InvalidArgumentError(
      `this Kysely database is ${kindOf(db)}, and what is made of it would have none of its own methods and fields. ` +
        'Extend a plain new Kysely(…) and keep what extension() gives in a field of your class',
    )
  }
  if (db.isTransaction) {
    throw new InvalidArgumentError(
      'a Kysely transaction was given: extend the database that it is made from',
    )
  }
  const { adapter } = db.getExecutor()
  if (!(adapter instanceof PostgresAdapter)) {
    throw new InvalidArgumentError(
      `this Kysely database is of another dialect (${adapter.constructor.name}): only PostgresDialect can share a connection of pg. ` +
        'Make it with new PostgresDialect({ pool: orm.$client })',
    )
  }
}
