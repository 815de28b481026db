import {
  Command,
  ConnectionBuilder,
  ControlledTransaction,
  ControlledTransactionBuilder,
  Kysely,
  Transaction,
  TransactionBuilder,
} from 'kysely'
import { TransactionAbortedError } from '../errors.ts'
import { objectSlot } from '../object-slot.ts'
import { LeaseRequest } from '../database/lease-request.ts'
import type { Database } from '../database/database.ts'
import { bindHandle } from '../database/handles.ts'
import type { Lease } from '../database/lease.ts'
import { callSiteAbove } from '../transaction/call-site.ts'
import type { Hooks } from '../transaction/register-hook.ts'
import { currentScope, runIn, Scope } from '../transaction/scope.ts'
import type { ExtendedKysely } from './types.ts'

/** What the bridge says of itself through a Kysely. */
export interface Bridge {
  readonly database: Database
  /** What `db.shared` is. */
  readonly shared: object
  /** The hooks for a handle, or for the code that calls. */
  hooksOf(handle?: object): Hooks
}

/** What stands behind one Kysely object, and all that are derived from it. */
class Backing {
  readonly bridge: Bridge
  /** Where it is the handle of a transaction. */
  readonly handle: object | undefined
  readonly lease: Lease | undefined
  #hooks: Hooks | undefined

  constructor(bridge: Bridge, handle?: object, lease?: Lease) {
    this.bridge = bridge
    this.handle = handle
    this.lease = lease
  }

  /** The bridge's hooks as its handle speaks to them: they belong to the handle's frame. */
  get hooks(): Hooks {
    this.#hooks ??= this.bridge.hooksOf(this.handle)
    return this.#hooks
  }
}

const backings = objectSlot<Backing>()

function backing(object: object): Backing {
  return backings.get(object) as Backing
}

/** The bridge behind a Kysely object, if it is one of the bridge's. */
export function bridgeOf(object: object): Bridge | undefined {
  return backings.get(object)?.bridge
}

/**
 * Makes an object that Kysely has made one of the bridge's, by giving it a subclass for its class:
 * what Kysely keeps in private fields, the user's log, plugins and driver, stays as it is.
 */
function adopt<T extends object>(object: object, by: { prototype: T }, behind: Backing): T {
  Object.setPrototypeOf(object, by.prototype)
  backings.set(object, behind)
  return object as T
}

/** Makes a Kysely database one of the bridge's. */
export function shareKysely<DB, Shared>(
  db: Kysely<DB>,
  bridge: Bridge,
): ExtendedKysely<DB, Shared> {
  return adopt(db, SharedKysely, new Backing(bridge)) as unknown as ExtendedKysely<DB, Shared>
}

/** Makes a transaction of Kysely one of the bridge's. */
export function shareTransaction<T extends Transaction<unknown>>(
  trx: T,
  bridge: Bridge,
  lease: Lease,
): T {
  const by: { prototype: object } =
    trx instanceof ControlledTransaction ? SharedControlled : SharedTrx
  bindHandle(trx, { database: bridge.database, lease })
  return adopt(trx, by, new Backing(bridge, trx, lease)) as T
}

const builders = objectSlot<TransactionBuilder<unknown>>()

class SharedKysely extends Kysely<unknown> {
  override transaction(): TransactionBuilder<unknown> {
    // builders do not change: each call that sets something gives another one
    let builder = builders.get(this)
    if (builder === undefined) {
      builder = adopt(super.transaction(), SharedTransactionBuilder, backing(this))
      builders.set(this, builder)
    }
    return builder
  }

  override startTransaction(): ControlledTransactionBuilder<unknown> {
    return adopt(super.startTransaction(), SharedControlledBuilder, backing(this))
  }

  override connection(): ConnectionBuilder<unknown> {
    return adopt(super.connection(), SharedConnectionBuilder, backing(this))
  }

  /** The pool is Drizzle's, so it is Drizzle's to end. */
  override destroy(): Promise<void> {
    return Promise.resolve()
  }
}

class SharedTrx extends Transaction<unknown> {}

class SharedControlled extends ControlledTransaction<unknown> {}

/** Kysely's own methods refuse to nest. Those of its base class work on a transaction too. */
const nested = {
  transaction(this: object): TransactionBuilder<unknown> {
    const builder = Kysely.prototype.transaction.call(this as Kysely<unknown>)
    return adopt(builder, SharedTransactionBuilder, backing(this))
  },
  startTransaction(this: object): ControlledTransactionBuilder<unknown> {
    const builder = Kysely.prototype.startTransaction.call(this as Kysely<unknown>)
    return adopt(builder, SharedControlledBuilder, backing(this))
  },
}

class SharedTransactionBuilder extends TransactionBuilder<unknown> {
  override async execute<T>(callback: (trx: Transaction<unknown>) => Promise<T>): Promise<T> {
    const { bridge } = backing(this)
    const { database } = bridge
    const block = new Scope(currentScope(), database, 'block')
    const request = new LeaseRequest({
      kind: 'block',
      layer: 'kysely',
      scope: block,
      callSite: callSiteAbove(1),
    })
    const execute = (): Promise<T> =>
      super.execute(async (trx) => {
        const lease = request.lease as Lease
        shareTransaction(trx, bridge, lease)
        try {
          return await database.body(lease, () => runIn(block, () => callback(trx)))
        } catch (error) {
          throw new Thrown(error)
        }
      })
    try {
      return await request.run(database, block, execute)
    } catch (error) {
      const thrown = error instanceof Thrown ? error.error : error
      if (thrown instanceof TransactionAbortedError) thrown.brand()
      throw thrown
    }
  }
}

/**
 * Carries what a callback threw past Kysely's builder, which would take an error about another
 * transaction, inside this one or elsewhere, for one about its own and send no ROLLBACK.
 */
class Thrown extends Error {
  readonly error: unknown

  constructor(error: unknown) {
    super('thrown by the callback of a transaction')
    this.error = error
  }
}

class SharedControlledBuilder extends ControlledTransactionBuilder<unknown> {
  override async execute(): Promise<ControlledTransaction<unknown>> {
    const { bridge } = backing(this)
    const { database } = bridge
    const callSite = callSiteAbove(1)
    const request = new LeaseRequest({ kind: 'controlled', layer: 'kysely', callSite })
    const trx = await request.run(database, currentScope(), () => super.execute())
    return shareTransaction(trx, bridge, request.lease as Lease)
  }
}

class SharedConnectionBuilder extends ConnectionBuilder<unknown> {
  override async execute<T>(
    callback: (db: Kysely<unknown>) => Promise<T>,
    ...rest: never[]
  ): Promise<T> {
    const behind = backing(this)
    return super.execute((db) => callback(adopt(db, SharedKysely, behind)), ...rest)
  }
}

/** Methods whose result is of the same kind as the object that they are called on. */
const DERIVING = [
  'withPlugin',
  'withoutPlugins',
  'withSchema',
  'withTables',
  '$extendTables',
  '$omitTables',
  '$pickTables',
  'setAccessMode',
  'setIsolationLevel',
]

/** Commands of a controlled transaction whose result is the next one. */
const COMMANDS = ['savepoint', 'rollbackToSavepoint', 'releaseSavepoint']

type Method = (this: object, ...args: unknown[]) => unknown

function lookUp(base: object, name: string): Method | undefined {
  return (base as Record<string, Method>)[name]
}

const CLASSES: readonly { prototype: object }[] = [
  SharedKysely,
  SharedTrx,
  SharedControlled,
  SharedTransactionBuilder,
  SharedControlledBuilder,
]

for (const by of CLASSES) {
  const base = Object.getPrototypeOf(by.prototype) as object
  for (const name of DERIVING) {
    const derive = lookUp(base, name)
    if (derive === undefined) continue
    define(by.prototype, name, function (...args) {
      const derived = derive.apply(this, args) as object
      const behind = backing(this)
      const { lease } = behind
      if (lease !== undefined) bindHandle(derived, { database: behind.bridge.database, lease })
      return adopt(derived, by, behind)
    })
  }
}

for (const name of COMMANDS) {
  const make = lookUp(ControlledTransaction.prototype, name) as Method
  define(SharedControlled.prototype, name, function (...args) {
    const command = make.apply(this, args) as Command<object>
    const behind = backing(this)
    return new Command(async () => {
      const next = await command.execute()
      bindHandle(next, { database: behind.bridge.database, lease: behind.lease as Lease })
      return adopt(next, SharedControlled, behind)
    })
  })
}

for (const by of [SharedTrx, SharedControlled]) {
  define(by.prototype, 'transaction', nested.transaction)
  define(by.prototype, 'startTransaction', nested.startTransaction)
}

for (const by of [SharedKysely, SharedTrx, SharedControlled]) {
  getter(by.prototype, 'shared', ({ bridge }) => bridge.shared)
  getter(by.prototype, 'inTransaction', ({ bridge, lease }) => {
    const frame = lease === undefined ? bridge.database.ambient : lease.frame
    return frame !== undefined && !frame.ended
  })
  for (const name of ['afterCommit', 'afterRollback', 'beforeCommit', 'afterCompletion'] as const) {
    getter(by.prototype, name, ({ hooks }) => hooks[name])
  }
}

function define(target: object, name: string, value: Method): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true })
}

function getter(target: object, name: string, read: (behind: Backing) => unknown): void {
  Object.defineProperty(target, name, {
    get(this: object) {
      return read(backing(this))
    },
    configurable: true,
  })
}
