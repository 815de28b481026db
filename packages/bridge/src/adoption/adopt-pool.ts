import { DisposeError } from '../errors.ts'
import { ClientSource } from '../checkout/client-source.ts'
import { PoolSource } from '../checkout/pool-source.ts'
import { Database } from '../database/database.ts'
import type { PgClient, PgPool } from '../protocol/pg.ts'
import {
  assertSameSettings,
  type Settings,
  settingsOf,
  type SharedConnectionOptions,
} from '../settings.ts'
import { assertUsable, isClient, isPool, notPg } from './pg-objects.ts'
import { methodsOfClient, methodsOfPool, takeClient } from './pool-methods.ts'
import { replace } from './replace.ts'

/** An adopted pool or client. */
export class Adoption {
  readonly pool: PgPool | PgClient
  readonly database: Database
  /** The pool as Kysely's dialect wants it. Kysely must not end it, since it is Drizzle's. */
  readonly poolForKysely: Pick<PgPool, 'connect' | 'end' | 'options'>
  readonly #restore: () => void

  constructor(pool: PgPool | PgClient, settings: Settings) {
    this.pool = pool
    // the source keeps the methods that the pool has before they are replaced
    this.database = new Database(settings, (self) =>
      isPool(pool) ? new PoolSource(pool, self, settings) : new ClientSource(pool, self, settings),
    )
    this.poolForKysely = {
      options: isPool(pool) ? pool.options : {},
      connect: () => takeClient(this.database),
      end: () => Promise.resolve(),
    }
    const methods = isPool(pool) ? methodsOfPool : methodsOfClient
    this.#restore = replace(pool, methods(pool as PgPool & PgClient, this.database))
  }

  /** Puts the original methods back. Refused while a transaction is open. */
  dispose(): void {
    const { database, pool } = this
    if (database.inUse > 0) {
      throw new DisposeError(
        `${database.inUse} connections are in use. Dispose when all transactions have ended and all clients are given back`,
      )
    }
    this.#restore()
    database.isDisposed = true
    adoptions.delete(pool)
  }
}

const adoptions = new Map<object, Adoption>()

/** The pools that are adopted now. Forgets those that were ended, since nobody can use them any more. */
export function adopted(): readonly Adoption[] {
  for (const [pool] of adoptions) if (isPool(pool) && pool.ended) adoptions.delete(pool)
  return [...adoptions.values()]
}

/**
 * Adopts a pool: gives it `query` and `connect` of the bridge, in place of those of its prototype.
 * A second call for the same pool gives the same adoption. Sends nothing and opens nothing.
 */
export function adoptPool(pool: unknown, options: SharedConnectionOptions): Adoption {
  if (isPool(pool)) assertUsable(pool)
  const known = adoptions.get(pool as object)
  if (known !== undefined) {
    const { settings } = known.database
    assertSameSettings(settings, options)
    settings.onHookError = options.onHookError ?? settings.onHookError
    return known
  }
  const settings = settingsOf(options)
  if (!isPool(pool) && !isClient(pool)) throw notPg(pool)
  const adoption = new Adoption(pool, settings)
  adoptions.set(pool, adoption)
  return adoption
}
