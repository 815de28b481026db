import {
  type Kysely,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  Transaction,
} from 'kysely'
import type { Lease } from '../database/lease.ts'
import type { PgPool } from '../protocol/pg.ts'
import type { SharedExecutor } from './executor.ts'
import { type Bridge, shareTransaction } from './shared-kysely.ts'

type KyselyPool = Pick<PgPool, 'connect' | 'end' | 'options'>

/** A Kysely handle for the transaction of a lease that another layer has begun, with the plugins and log of `db`. */
export function kyselyForLease(
  db: Kysely<unknown>,
  bridge: Bridge,
  pool: KyselyPool,
  lease: Lease,
): Transaction<unknown> {
  const executor = (db.getExecutor() as SharedExecutor).forLease(lease)
  return shareTransaction(new Transaction({ ...partsFor(pool), executor }), bridge, lease)
}

/** The parts of a Kysely database that all handles on a pool share. */
interface Parts {
  readonly config: { readonly dialect: PostgresDialect }
  readonly dialect: PostgresDialect
  readonly driver: PostgresDriver
}

const parts = new WeakMap<KyselyPool, Parts>()

function partsFor(pool: KyselyPool): Parts {
  let known = parts.get(pool)
  if (known === undefined) {
    const config = { pool } as unknown as PostgresDialectConfig
    const dialect = new PostgresDialect(config)
    // It only words commands here: connections come through the driver of the user's own database.
    known = { config: { dialect }, dialect, driver: new PostgresDriver(config) }
    parts.set(pool, known)
  }
  return known
}
