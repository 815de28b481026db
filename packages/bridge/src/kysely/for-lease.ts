import {
  type Kysely,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  Transaction,
} from 'kysely'
import type { PgPool } from '../protocol/pg.ts'
import type { Lease } from '../database/lease.ts'
import type { SharedExecutor } from './executor.ts'
import { type Bridge, shareTransaction } from './shared-kysely.ts'

/** A Kysely handle for the transaction of a lease that another layer has begun, with the plugins and log of `db`. */
export function kyselyForLease(
  db: Kysely<unknown>,
  bridge: Bridge,
  pool: Pick<PgPool, 'connect' | 'end' | 'options'>,
  lease: Lease,
): Transaction<unknown> {
  const config = { pool } as unknown as PostgresDialectConfig
  const dialect = new PostgresDialect(config)
  const executor = (db.getExecutor() as SharedExecutor).forLease(lease)
  const driver = new PostgresDriver(config)
  return shareTransaction(
    new Transaction({ config: { dialect }, dialect, driver, executor }),
    bridge,
    lease,
  )
}
