import {
  ClientReleasedError,
  DisposeError,
  HookError,
  isSharedConnectionError,
  Rollback,
} from '../errors.ts'
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
import { control } from './layer-control.ts'
import { AcquireQueue } from '../checkout/acquire-queue.ts'
import { Lease, type LeaseOptions } from './lease.ts'
import type { QueryResult } from '../protocol/pg.ts'
import type { Settings } from '../settings.ts'
import { reportHookError } from '../connection/run-hooks.ts'
import type { Source } from '../checkout/source.ts'
import type { Statement } from '../wire/statement.ts'

/** Told of writes that go over the connection, so that a cache can forget what they changed. */
export type OnWrite = (tables: readonly string[] | 'all', root: Frame | undefined) => Promise<void>

/** One adopted database: finds out which connection and frame a statement belongs to. */
export class Database {
  readonly settings: Settings
  /** Set while a cache wants to know of writes. */
  onWrite: OnWrite | undefined
  isDisposed = false
  readonly #source: Source
  readonly #acquireQueue: AcquireQueue

  constructor(settings: Settings, source: (database: Database) => Source) {
    this.settings = settings
    this.#source = source(this)
    this.#acquireQueue = new AcquireQueue(this.#source, settings.turnTimeout)
  }

  /** The frame that the code which calls stands in. */
  get ambient(): Frame | undefined {
    return ambientFrame(currentScope(), this)
  }

  /** How many connections are in use. */
  get inUse(): number {
    return this.#source.inUse
  }

  /**
   * The frame that a statement belongs to: that of its handle, else that of its scope. Where the
   * scope is inside the handle's frame, the scope: PostgreSQL would do the same.
   */
  frameOf(lease: Lease | undefined, scope: Scope | undefined): Frame | undefined {
    const ambient = ambientFrame(scope, this)
    if (lease === undefined) return ambient
    const own = lease.frame
    if (own === ambient || own === undefined) return own
    return ambient?.isInside(own) ? ambient : own
  }

  /** Runs a statement, sent by code under `link`, where it belongs. */
  query(
    statement: Statement,
    lease: Lease | undefined,
    scope: Scope | undefined,
  ): Promise<QueryResult> {
    if (lease?.kind === 'plain' && lease.isReleased) {
      const message = 'the client was released, and may be in the hands of others. Nothing was sent'
      return Promise.reject(new ClientReleasedError(message))
    }
    // behind a COMMIT or RELEASE by hand that nobody awaits, but not in a block that these wait for
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
    if (this.isDisposed) throw new DisposeError('this shared connection was disposed of')
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

  /** Runs `fn` as code that has left the transaction around it. */
  outside<T>(fn: () => Promise<T>): Promise<T> {
    return runIn(new Scope(currentScope(), this, 'outside'), fn)
  }

  /** Runs `fn` as code that stands in a frame. */
  within<T>(frame: Frame, fn: () => Promise<T>): Promise<T> {
    return runIn(new Scope(currentScope(), this, 'block', undefined, frame), fn)
  }

  /** Runs the user's part of a block: what control statements come outside it are the layer's own. */
  async body<T>(lease: Lease, fn: () => Promise<T> | T): Promise<T> {
    lease.phase = 'body'
    try {
      return await fn()
    } catch (error) {
      const frame = lease.opened ?? lease.joined
      // where the bridge grants it, a rollback on request is no failure that could hide another
      const isGranted = error instanceof Rollback && (lease.layer === 'shared' || lease.joined)
      if (frame !== undefined && !isGranted) frame.blockError ??= { error }
      throw error
    } finally {
      lease.phase = 'closing'
    }
  }

  /** Tells of what was written, if a cache wants to know. It is done, whatever fails there. */
  async reportWrite(tables: readonly string[] | 'all', root: Frame | undefined): Promise<void> {
    try {
      await this.onWrite?.(tables, root)
    } catch (error) {
      reportHookError(new HookError('committed', [error]), undefined, this.settings)
    }
  }

  /** Sends a statement on a connection of its own. */
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

/** What a layer has wrapped around an error of the bridge comes off: it is about the block itself. */
function unwrap(error: unknown, lease: Lease): unknown {
  const { controlError } = lease
  if (controlError === undefined || isSharedConnectionError(error)) return error
  return (error as { cause?: unknown } | undefined)?.cause === controlError ? controlError : error
}
