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
import { bind, type Binding, bindingOf } from '../database/handles.ts'
import type { Lease } from '../database/lease.ts'
import { callSiteAbove } from '../transaction/call-site.ts'
import type { Hooks } from '../transaction/register-hook.ts'
import { currentScope, runIn, Scope } from '../transaction/scope.ts'
import type { ExtendedKysely } from './types.ts'

/** The bridge as a Kysely database offers it. */
export interface Bridge {
  readonly database: Database
  /** The value of `db.shared`. */
  readonly shared: object
  /** The hooks for a handle, or for the code that calls. */
  hooksOf(handle?: object): Hooks
}

/** What the bridge keeps with a Kysely object, and with all that are derived from it. */
class KyselyBinding implements Binding {
  readonly bridge: Bridge
  readonly database: Database
  /** Present where the object is a transaction. */
  readonly lease: Lease | undefined
  readonly #handle: object | undefined
  #hooks: Hooks | undefined

  constructor(bridge: Bridge, handle?: object, lease?: Lease) {
    this.bridge = bridge
    this.database = bridge.database
    this.lease = lease
    this.#handle = handle
  }

  /** On a handle, hooks belong to the handle's frame. */
  get hooks(): Hooks {
    this.#hooks ??= this.bridge.hooksOf(this.#handle)
    return this.#hooks
  }
}

function kyselyBinding(object: object): KyselyBinding {
  return bindingOf(object) as KyselyBinding
}

/** The bridge of a Kysely object, if it has one. */
export function bridgeOf(object: object): Bridge | undefined {
  // Only Kysely's objects have one, whichever copy of the package has bound them.
  return (bindingOf(object) as Partial<KyselyBinding> | undefined)?.bridge
}

/**
 * Makes an object of Kysely one of the bridge's, by giving it a subclass for its class. So it keeps
 * its private fields, which hold the user's log, plugins and driver.
 */
function adopt<T extends object>(object: object, by: { prototype: T }, binding: KyselyBinding): T {
  Object.setPrototypeOf(object, by.prototype)
  bind(object, binding)
  return object as T
}

/** Makes a Kysely database one of the bridge's. */
export function shareKysely<DB, Shared>(
  db: Kysely<DB>,
  bridge: Bridge,
): ExtendedKysely<DB, Shared> {
  return adopt(db, SharedKysely, new KyselyBinding(bridge)) as unknown as ExtendedKysely<DB, Shared>
}

/** Makes a transaction of Kysely one of the bridge's, whose statements go through a lease. */
export function shareTransaction<T extends Transaction<unknown>>(
  trx: T,
  bridge: Bridge,
  lease: Lease,
): T {
  const by: { prototype: object } =
    trx instanceof ControlledTransaction ? SharedControlled : SharedTrx
  return adopt(trx, by, new KyselyBinding(bridge, trx, lease)) as T
}

const builders = objectSlot<TransactionBuilder<unknown>>()

class SharedKysely extends Kysely<unknown> {
  override transaction(): TransactionBuilder<unknown> {
    // A builder does not change: each call that sets something returns another one.
    let builder = builders.get(this)
    if (builder === undefined) {
      builder = adopt(super.transaction(), SharedTransactionBuilder, kyselyBinding(this))
      builders.set(this, builder)
    }
    return builder
  }

  override startTransaction(): ControlledTransactionBuilder<unknown> {
    return adopt(super.startTransaction(), SharedControlledBuilder, kyselyBinding(this))
  }

  override connection(): ConnectionBuilder<unknown> {
    return adopt(super.connection(), SharedConnectionBuilder, kyselyBinding(this))
  }

  /** The pool is Drizzle's, so Kysely must not end it. */
  override destroy(): Promise<void> {
    return Promise.resolve()
  }
}

class SharedTrx extends Transaction<unknown> {}

class SharedControlled extends ControlledTransaction<unknown> {}

/** Kysely's transactions refuse to nest. The methods of their base class work on them too. */
const nested = {
  transaction(this: object): TransactionBuilder<unknown> {
    const builder = Kysely.prototype.transaction.call(this as Kysely<unknown>)
    return adopt(builder, SharedTransactionBuilder, kyselyBinding(this))
  },
  startTransaction(this: object): ControlledTransactionBuilder<unknown> {
    const builder = Kysely.prototype.startTransaction.call(this as Kysely<unknown>)
    return adopt(builder, SharedControlledBuilder, kyselyBinding(this))
  },
}

class SharedTransactionBuilder extends TransactionBuilder<unknown> {
  override async execute<T>(callback: (trx: Transaction<unknown>) => Promise<T>): Promise<T> {
    const { bridge, database } = kyselyBinding(this)
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
 * Hides what a callback threw from Kysely's builder, which sends no ROLLBACK after an error about an
 * aborted transaction, even if that error is about another transaction than its own.
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
    const { bridge, database } = kyselyBinding(this)
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
    const binding = kyselyBinding(this)
    return super.execute((db) => callback(adopt(db, SharedKysely, binding)), ...rest)
  }
}

/** Methods that return an object of the class that they are called on. */
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

/** Methods of a controlled transaction that return a command, which results in the transaction. */
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
      return adopt(derived, by, kyselyBinding(this))
    })
  }
}

for (const name of COMMANDS) {
  const make = lookUp(ControlledTransaction.prototype, name) as Method
  define(SharedControlled.prototype, name, function (...args) {
    const command = make.apply(this, args) as Command<object>
    const binding = kyselyBinding(this)
    return new Command(async () => adopt(await command.execute(), SharedControlled, binding))
  })
}

for (const by of [SharedTrx, SharedControlled]) {
  define(by.prototype, 'transaction', nested.transaction)
  define(by.prototype, 'startTransaction', nested.startTransaction)
}

for (const by of [SharedKysely, SharedTrx, SharedControlled]) {
  getter(by.prototype, 'shared', ({ bridge }) => bridge.shared)
  getter(by.prototype, 'inTransaction', ({ database, lease }) => {
    const frame = lease === undefined ? database.ambient : lease.frame
    return frame !== undefined && !frame.ended
  })
  for (const name of ['afterCommit', 'afterRollback', 'beforeCommit', 'afterCompletion'] as const) {
    getter(by.prototype, name, ({ hooks }) => hooks[name])
  }
}

function define(target: object, name: string, value: Method): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true })
}

function getter(target: object, name: string, read: (binding: KyselyBinding) => unknown): void {
  Object.defineProperty(target, name, {
    get(this: object) {
      return read(kyselyBinding(this))
    },
    configurable: true,
  })
}
