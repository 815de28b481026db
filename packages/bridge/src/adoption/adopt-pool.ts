import { inCore } from '../core.ts'
import { DisposeError, InvalidArgumentError } from '../errors.ts'
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
import { VERSION } from '../version.ts'
import { WeakList } from '../weak-list.ts'
import { assertUsable, isClient, isPool, notPg } from './pg-objects.ts'
import { methodsOfClient, methodsOfPool, takeClient } from './pool-methods.ts'
import { countOf } from '../wording.ts'
import { replace } from './replace.ts'

/** An adopted pool or client. All copies of the package that use it share this object. */
export class Adoption {
  readonly pool: PgPool | PgClient
  readonly database: Database
  /** The pool as Kysely's dialect wants it. Kysely must not end it, since it is Drizzle's. */
  readonly poolForKysely: Pick<PgPool, 'connect' | 'end' | 'options'>
  /** The Drizzle database that it was shared with first. */
  readonly orm: object
  readonly #restore: () => void
  /** The functions that undo the adoption of Drizzle's sessions. */
  readonly #sessions = new WeakMap<object, () => void>()
  readonly #adopted = new WeakList<object>()

  constructor(pool: PgPool | PgClient, orm: object, settings: Settings) {
    this.pool = pool
    this.orm = orm
    // The source keeps the methods that the pool has before they are replaced
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

  /** Adopts a session of Drizzle, unless that is done. `adopt` returns what undoes it. */
  adoptSession(session: object, adopt: () => () => void): void {
    if (this.#sessions.has(session)) return
    this.#sessions.set(session, adopt())
    this.#adopted.add(session)
  }

  /** Puts the original methods back. Refused while a transaction is open. */
  dispose(): void {
    const { database, pool } = this
    if (database.isDisposed) return
    if (database.inUse > 0) {
      throw new DisposeError(
        `${countOf(database.inUse, 'connection')} in use. Dispose when all transactions have ended and all clients are given back`,
      )
    }
    this.#restore()
    for (const session of this.#adopted.all) this.#sessions.get(session)?.()
    database.isDisposed = true
    adoptions.delete(pool)
    versions.delete(pool)
  }
}

/** Weak, so that a pool which its user has dropped can be collected. */
const adoptions = inCore('adoptions', () => new WeakMap<object, Adoption>())
const allAdoptions = inCore('all adoptions', () => new WeakList<Adoption>())

const VERSIONS = Symbol.for('shared-connection.versions')
/** The version of the package that has adopted a pool. All versions share this. */
const versions = ((globalThis as { [VERSIONS]?: WeakMap<object, string> })[VERSIONS] ??=
  new WeakMap())

/** The adoptions of pools that can still be used: ended ones are left out. */
export function adopted(): readonly Adoption[] {
  return allAdoptions.all.filter(
    ({ pool, database }) => !database.isDisposed && !(isPool(pool) && pool.ended),
  )
}

/**
 * Adopts a pool: its own `query` and `connect` are then the bridge's, in place of the prototype's.
 * A second call for the same pool returns the same adoption. Sends nothing and opens nothing.
 */
export function adoptPool(pool: unknown, orm: object, options: SharedConnectionOptions): Adoption {
  if (isPool(pool)) assertUsable(pool)
  const known = adoptions.get(pool as object)
  if (known !== undefined) {
    const { settings } = known.database
    assertSameSettings(settings, options)
    if (options.lazy === true) settings.lazy = true
    settings.onHookError = options.onHookError ?? settings.onHookError
    return known
  }
  const settings = settingsOf(options)
  if (!isPool(pool) && !isClient(pool)) throw notPg(pool)
  const other = versions.get(pool)
  if (other !== undefined) throw otherVersion(other)
  const adoption = new Adoption(pool, orm, settings)
  adoptions.set(pool, adoption)
  allAdoptions.add(adoption)
  versions.set(pool, VERSION)
  return adoption
}

function otherVersion(other: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `this pool is shared by version ${other} of shared-connection, and this is version ${VERSION}: neither would know of the transactions of the other. ` +
      'Let both resolve to one version ("npm ls shared-connection" tells who asks for which), give each a pool of its own, or call dispose() on what the other has shared',
  )
}
