import { connectionOf } from '../connection/connection.ts'
import { adoptSession, drizzleForLease, sessionOf } from '../drizzle/adopt-session.ts'
import type { DrizzleLike } from '../drizzle/types.ts'
import { AmbiguousDatabaseError, InvalidArgumentError } from '../errors.ts'
import { closedError } from '../transaction/frame-errors.ts'
import { extendKysely, type KyselyOptions, makeKysely } from '../kysely/extend.ts'
import { kyselyForLease } from '../kysely/for-lease.ts'
import { type Bridge, bridgeOf } from '../kysely/shared-kysely.ts'
import type { ExtendedKysely, Kysely } from '../kysely/types.ts'
import { type Adoption, adopted, adoptPool } from '../adoption/adopt-pool.ts'
import { frameOfHandle, type HandleBinding, handleBindingOf } from '../database/handles.ts'
import type { Lease } from '../database/lease.ts'
import { assertKnownOptions, nameOf, type SharedConnectionOptions } from '../settings.ts'
import { withClient } from '../database/with-client.ts'
import type { Frame } from '../transaction/frame.ts'
import type { Hooks } from '../transaction/register-hook.ts'
import { assertFunction } from './assert-function.ts'
import { type BatchItem, runBatch } from './batch.ts'
import { hooksOn, stateOf, viewOf } from './frame-view.ts'
import { contextOfLease, type HandleMaker } from './lease-context.ts'
import type { SharedConnection, SharedKysely } from './shared-connection.ts'
import { runTransaction } from './transaction-block.ts'
import type { MaybeOptions, TransactionOptions } from './transaction-options.ts'
import { inWords, kindOf } from '../wording.ts'

/** The state of the bridge for one adopted pool. */
class SharedPool {
  readonly adoption: Adoption
  readonly orm: DrizzleLike
  readonly bridge: Bridge
  #kysely: ExtendedKysely<unknown, unknown> | undefined
  readonly #handles: HandleMaker = {
    drizzle: (lease) => drizzleForLease(this.orm, this.adoption.database, lease),
    kysely: (lease) =>
      kyselyForLease(this.#defaultKysely(), this.bridge, this.adoption.poolForKysely, lease),
  }

  constructor(adoption: Adoption, orm: DrizzleLike) {
    this.adoption = adoption
    this.orm = orm
    const hooksOf = (handle?: object): Hooks => hooksOn((on) => this.frameFor(on ?? handle))
    this.bridge = { database: adoption.database, shared: this.#surface(hooksOf()), hooksOf }
  }

  adopt(orm: DrizzleLike): void {
    const session = sessionOf(orm)
    this.adoption.adoptSession(session, () => adoptSession(orm, this.adoption.database))
  }

  extend<DB>(db: Kysely<DB>): ExtendedKysely<DB, unknown> {
    const extended = extendKysely<DB, unknown>(db, this.bridge)
    this.#kysely ??= extended as unknown as ExtendedKysely<unknown, unknown>
    return extended
  }

  /** Returns the frame of a handle, or that of the calling code. */
  frameFor(handle: object | undefined): Frame | undefined {
    const { database } = this.adoption
    if (handle !== undefined) return frameOfHandle(this.#bindingOf(handle))
    const { ambient } = database
    if (ambient === undefined || ambient.ended) return ambient
    return connectionOf(ambient).stack.innermostOf(ambient)
  }

  #bindingOf(handle: unknown): HandleBinding {
    const held = handleBindingOf(handle)
    const { database } = this.adoption
    if (held?.database === database) return held
    const given = held === undefined ? kindOf(handle) : `one of ${nameOf(held.database.settings)}`
    throw new InvalidArgumentError(
      `expected a transaction handle of ${nameOf(database.settings)}, got ${given}. ` +
        'Give the tx or trx of a transaction of the same shared connection',
    )
  }

  #frameOf(handle: object): Frame {
    const frame = this.frameFor(handle)
    if (frame !== undefined) return frame
    throw new InvalidArgumentError(
      'the handle has no transaction; give the tx or trx of one that is open',
    )
  }

  /** Makes a Kysely database that is not derived from one of the user's. */
  #make(options?: KyselyOptions): ExtendedKysely<unknown, unknown> {
    const made = makeKysely<unknown, unknown>(this.bridge, this.adoption.poolForKysely, options)
    this.#kysely ??= made
    return made
  }

  /** The user's first Kysely database. By default, handles have its plugins and its log. */
  #defaultKysely(): ExtendedKysely<unknown, unknown> {
    return this.#kysely ?? this.#make()
  }

  #drizzleFor(handle: object): unknown {
    const { lease } = this.#bindingOf(handle)
    return bridgeOf(handle) === undefined ? handle : this.#handles.drizzle(lease)
  }

  #kyselyFor(handle: object, db: object = this.#defaultKysely()): unknown {
    const { lease } = this.#bindingOf(handle)
    const bridge = bridgeOf(db)
    if (bridge?.database !== this.bridge.database) {
      throw new InvalidArgumentError(
        `kyselyFor() was given ${kindOf(db)} that does not share the connection of ${nameOf(this.adoption.database.settings)}. ` +
          'Extend it first: db.extension("shared-connection", { drizzle: orm })',
      )
    }
    if (bridge !== this.bridge) {
      // It was extended by another copy of the package, which may have another Kysely.
      return (bridge.shared as SharedConnection).kyselyFor(handle, db as never)
    }
    if (bridgeOf(handle) === bridge) return handle
    return kyselyForLease(db as Kysely<unknown>, this.bridge, this.adoption.poolForKysely, lease)
  }

  #contextOf(lease: Lease | undefined): object {
    const frame = lease?.transaction?.frame
    if (lease === undefined || frame === undefined) {
      const { ambient } = this.adoption.database
      return {
        tx: this.orm,
        trx: this.#defaultKysely(),
        frame: ambient && viewOf(ambient),
      }
    }
    return contextOfLease(this.#handles, lease, frame)
  }

  /** Makes the public object. It consists of closures, so that its members can be destructured. */
  #surface(hooks: Hooks): SharedConnection {
    const shared = this
    const { database } = this.adoption
    return {
      ...hooks,
      get inTransaction() {
        const { ambient } = database
        return ambient !== undefined && !ambient.ended
      },
      get current() {
        const frame = shared.frameFor(undefined)
        return frame === undefined || frame.ended ? undefined : stateOf(frame)
      },
      kysely: (options?: KyselyOptions) => shared.#make(options),
      transaction: (fn: (context: never) => unknown, options?: TransactionOptions | MaybeOptions) =>
        runTransaction(database, (lease) => shared.#contextOf(lease) as never, fn, options),
      batch: (items: readonly BatchItem[]) => runBatch(database, items),
      within: async (handle: object, fn: () => unknown) => {
        assertFunction(fn, 'shared.within()')
        const { lease } = shared.#bindingOf(handle)
        const frame = lease.frame ?? shared.#frameOf(handle)
        if (frame.ended) throw closedError(frame, 'within() has nothing to run in')
        return database.within(frame, async () => fn())
      },
      of: (handle: object) => viewOf(shared.#frameOf(handle)),
      drizzleFor: (handle: object) => shared.#drizzleFor(handle),
      kyselyFor: (handle: object, db?: object) => shared.#kyselyFor(handle, db),
      outside: async (fn: () => unknown) => {
        assertFunction(fn, 'shared.outside()')
        return database.outside(async () => fn())
      },
      withClient: async (fn: (client: never) => unknown) => {
        assertFunction(fn, 'shared.withClient()')
        return withClient(database, (client) => fn(client as never))
      },
      dispose: () => shared.adoption.dispose(),
    } as unknown as SharedConnection
  }
}

/** The pools of this copy of the package, which has its own Kysely and Drizzle. */
const pools = new WeakMap<Adoption, SharedPool>()

/**
 * Adopts a Drizzle database on node-postgres, so that Kysely can share its connections and transactions.
 * Returns the same object for every Drizzle database on the same pool. Sends nothing and opens no
 * connection. `dispose()` of the result undoes it.
 *
 * ```ts
 * const shared = shareConnection(orm)
 * const db = shared.kysely<Database>()
 * ```
 *
 * @throws {@link InvalidArgumentError} for anything but a Drizzle database on `pg` 8.21 or newer
 * @throws {@link OptionsConflictError} if the pool is shared already, with other options
 */
export function shareConnection<O extends DrizzleLike>(
  orm: O,
  options: SharedConnectionOptions = {},
): SharedConnection<O> {
  return poolFor(orm, options).bridge.shared as unknown as SharedConnection<O>
}

/** Implements `db.extension('shared-connection', …)`. */
export function shareWithKysely<DB, O extends DrizzleLike>(
  db: Kysely<DB>,
  options: { readonly drizzle?: O } & SharedConnectionOptions = {},
): SharedKysely<DB, O> {
  if (options === null || typeof options !== 'object') {
    throw new InvalidArgumentError(
      `the options of extension() were ${inWords(options)}; give { drizzle: orm }, or leave them out`,
    )
  }
  assertKnownOptions(options, 'extension()', ['drizzle'])
  const { drizzle, ...rest } = options
  const pool = poolFor(drizzle ?? (theOnlyAdoption().orm as DrizzleLike), rest)
  return pool.extend(db) as unknown as SharedKysely<DB, O>
}

function poolFor(orm: DrizzleLike, options: SharedConnectionOptions): SharedPool {
  sessionOf(orm)
  const adoption = adoptPool(orm.$client, orm, options)
  let pool = pools.get(adoption)
  if (pool === undefined) {
    pool = new SharedPool(adoption, orm)
    pools.set(adoption, pool)
  }
  pool.adopt(orm)
  return pool
}

function theOnlyAdoption(): Adoption {
  const live = adopted()
  const [only] = live
  if (only !== undefined && live.length === 1) return only
  const names = live.map(({ database }, index) => database.settings.name ?? `number ${index + 1}`)
  throw new AmbiguousDatabaseError(
    names.length === 0
      ? 'no Drizzle database is shared yet. Pass yours: db.extension("shared-connection", { drizzle: orm })'
      : `several Drizzle databases are shared (${names.join(', ')}). Choose one: db.extension("shared-connection", { drizzle: orm })`,
  )
}
