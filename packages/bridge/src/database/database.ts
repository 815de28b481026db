import { ClientReleasedError, HookError, isOwnError, Rollback } from '../errors.ts'
import { isHeard } from '../instrumentation/channels.ts'
import type { Frame } from '../transaction/frame.ts'
import {
  ambientFrame,
  currentScope,
  enclosingTransactions,
  Scope,
  runIn,
} from '../transaction/scope.ts'
import { connectionOf } from '../connection/connection.ts'
import { disposedError } from './disposed-error.ts'
import { control } from './layer-control.ts'
import { AcquireQueue } from '../checkout/acquire-queue.ts'
import { Lease, type LeaseOptions } from './lease.ts'
import type { QueryResult } from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import { reportHookError } from '../connection/run-hooks.ts'
import type { Source } from '../checkout/source.ts'
import type { Statement } from '../wire/statement.ts'

/** Called after writes, so that a cache can forget the tables that they changed. */
export type OnWrite = (tables: readonly string[] | 'all', root: Frame | undefined) => Promise<void>

/** One adopted database. It finds the connection and the frame of each statement. */
export class Database {
  readonly settings: Settings
  /** Set while a cache must learn of writes. */
  onWrite: OnWrite | undefined
  isDisposed = false
  readonly #source: Source
  readonly #acquireQueue: AcquireQueue

  constructor(settings: Settings, source: (database: Database) => Source) {
    this.settings = settings
    this.#source = source(this)
    this.#acquireQueue = new AcquireQueue(this.#source, settings.turnTimeout)
  }

  /** The frame of the calling code. */
  get ambient(): Frame | undefined {
    return ambientFrame(currentScope(), this)
  }

  /** The number of connections in use. */
  get inUse(): number {
    return this.#source.inUse
  }

  /**
   * The frame that a statement belongs to: that of its handle, else that of its scope. If the scope is
   * inside the handle's frame, the scope decides: PostgreSQL would run the statement there, too.
   */
  frameOf(lease: Lease | undefined, scope: Scope | undefined): Frame | undefined {
    const ambient = ambientFrame(scope, this)
    if (lease === undefined) return ambient
    const own = lease.frame
    if (own === ambient || own === undefined) return own
    return ambient?.isInside(own) ? ambient : own
  }

  /** Runs a statement of code in `scope` in the frame that it belongs to. */
  query(
    statement: Statement,
    lease: Lease | undefined,
    scope: Scope | undefined,
  ): Promise<QueryResult> {
    if (lease?.kind === 'plain' && lease.isReleased) {
      const message =
        'the client was released, and others may use it now. ' +
        'Take another with pool.connect(), and release it after its last statement. Nothing was sent'
      return Promise.reject(new ClientReleasedError(message))
    }
    // Waits behind a manual COMMIT or RELEASE that nobody awaits, except in a block that these wait for.
    if (lease?.closing !== undefined && this.frameOf(lease, scope) === lease.frame) {
      return lease.closing.then(() => this.query(statement, lease, scope))
    }
    const frame = this.frameOf(lease, scope)
    const connection = frame && connectionOf(frame)
    const { command } = statement
    if (command !== undefined) {
      const done = control({ statement, command, lease, frame, connection, scope })
      if (done !== undefined) return done
    }
    if (connection !== undefined) return connection.execute(statement, frame, scope)
    if (lease === undefined) return this.#once(statement, scope)
    return lease.connection.execute(statement, undefined, scope)
  }

  /** Takes a connection for code in the scope `caller`: that of the transaction around, or a free one. */
  async acquireLease(options: LeaseOptions, caller: Scope | undefined): Promise<Lease> {
    if (this.isDisposed) throw disposedError(this.settings)
    const { on } = options
    const joins = options.joins ?? this.settings.nesting === 'join'
    const parent = options.parent === undefined ? ambientFrame(caller, this) : options.parent
    if (parent) {
      const connection = connectionOf(parent)
      // A block is refused where it begins.
      const closed = options.kind === 'block' ? undefined : connection.closedError(parent, caller)
      if (closed !== undefined) throw closed
      return new Lease(connection, parent, joins, options)
    }
    if (on !== undefined) return new Lease(on.connection, undefined, joins, options)
    const held = enclosingTransactions(caller, this)
    const { layer, signal } = options
    const checkout = await this.#acquireQueue.acquire(layer, caller, held, signal)
    return new Lease(checkout.connection, undefined, joins, options, checkout)
  }

  /**
   * Runs one call of a callback API: takes a connection for it and makes its frame, once `begin` has
   * opened it, the ambient one.
   */
  block<T>(options: LeaseOptions, run: (lease: Lease) => Promise<T>): Promise<T> {
    const scope = new Scope(currentScope(), this, 'block')
    return runIn(scope, async () => {
      const lease = await this.acquireLease({ ...options, kind: 'block', scope }, scope)
      try {
        return await run(lease)
      } catch (error) {
        throw unwrap(error, lease)
      } finally {
        await lease.release()
      }
    })
  }

  /** Runs `fn` outside the transaction around it. */
  outside<T>(fn: () => Promise<T>): Promise<T> {
    return runIn(new Scope(currentScope(), this, 'outside'), fn)
  }

  /** Runs `fn` inside a frame. */
  within<T>(frame: Frame, fn: () => Promise<T>): Promise<T> {
    return runIn(new Scope(currentScope(), this, 'block', undefined, frame), fn)
  }

  /** Runs the user's part of a block. Control commands before and after it are the layer's own. */
  async body<T>(lease: Lease, fn: () => Promise<T> | T): Promise<T> {
    lease.phase = 'body'
    try {
      return await fn()
    } catch (error) {
      const { transaction } = lease
      // If the bridge grants it, a rollback on request is no failure that could hide another error.
      const isOfBridge = lease.layer === 'shared' || transaction?.role === 'participant'
      const isGranted = error instanceof Rollback && isOfBridge
      if (transaction !== undefined && !isGranted) transaction.frame.blockError ??= { error }
      throw error
    } finally {
      lease.phase = 'closing'
    }
  }

  /** Reports a write to the cache, if there is one. The write is done, so a failing cache is a hook error. */
  async reportWrite(tables: readonly string[] | 'all', root: Frame | undefined): Promise<void> {
    try {
      await this.onWrite?.(tables, root)
    } catch (error) {
      reportHookError(new HookError('committed', [error]), undefined, this.settings)
    }
  }

  /** Sends a statement outside any transaction, on any free connection. */
  #once(statement: Statement, scope: Scope | undefined): Promise<QueryResult> {
    const isLone =
      scope === undefined && statement.isPlain && !this.#acquireQueue.isFull && !isHeard()
    if (isLone && !this.isDisposed) return this.#source.send(statement)
    return this.#onLease(statement, scope)
  }

  async #onLease(statement: Statement, scope: Scope | undefined): Promise<QueryResult> {
    const lease = await this.acquireLease({ layer: statement.layer, parent: null }, scope)
    try {
      return await lease.connection.execute(statement, undefined, scope)
    } finally {
      const back = lease.release()
      if (back !== undefined) await back
    }
  }
}

/** Removes the wrapper of a layer from an error of the bridge about the block itself. */
function unwrap(error: unknown, lease: Lease): unknown {
  const { controlError } = lease
  if (controlError === undefined || isOwnError(error)) return error
  return (error as { cause?: unknown } | undefined)?.cause === controlError ? controlError : error
}
