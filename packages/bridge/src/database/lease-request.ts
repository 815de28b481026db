import type { Connection } from '../connection/session.ts'
import { runIn, Scope } from '../transaction/scope.ts'
import type { Database } from './database.ts'
import type { Lease, LeaseOptions } from './lease.ts'

/**
 * A request for a connection by code that goes through another's driver. That calls `pool.connect()`
 * and `client.query()` without a word about who asks, so they find the request by the scope.
 */
export class LeaseRequest {
  options: LeaseOptions
  /** The lease that its statements go through; nothing for those of the transaction around. */
  lease: Lease | undefined
  /** Set once `pool.connect()` was called for it. */
  connection: Connection | undefined
  /** Aborted when its statement is not wanted any more. */
  readonly signal: AbortSignal | undefined

  constructor(options: LeaseOptions, lease?: Lease, signal?: AbortSignal) {
    this.options = options
    this.lease = lease
    this.connection = lease?.connection
    this.signal = signal
  }

  /** Takes the connection. `scope` is that of the code which calls. */
  async connect(database: Database, scope: Scope | undefined): Promise<Connection> {
    const lease = await database.acquireLease(this.options, scope)
    this.lease = lease
    this.connection = lease.connection
    return lease.connection
  }

  release(discard: boolean): Promise<void> | undefined {
    return this.lease?.release(discard)
  }

  /** The same for one statement, which `signal` can abort. */
  for(signal: AbortSignal): LeaseRequest {
    return new LeaseRequest(this.options, this.lease, signal)
  }

  /** Runs `fn` in a scope inside `scope` that names this request. */
  run<T>(database: Database, scope: Scope | undefined, fn: () => T): T {
    return runIn(new Scope(scope, database, 'via', this), fn)
  }

  /** The request that the scope names. */
  static of(scope: Scope | undefined, database: Database): LeaseRequest | undefined {
    return scope?.database === database && scope.handle instanceof LeaseRequest
      ? scope.handle
      : undefined
  }
}

/** A request for a single statement: in a transaction that needs no lease of its own. */
export class StatementRequest extends LeaseRequest {
  /** The lease of the handle that sends the statement. */
  readonly #handle: Lease | undefined

  constructor(options: LeaseOptions, handle: Lease | undefined) {
    super(options)
    this.#handle = handle
  }

  override connect(database: Database, scope: Scope | undefined): Promise<Connection> {
    const frame = database.frameOf(this.#handle, scope)
    if (frame === undefined) return super.connect(database, scope)
    this.lease = this.#handle
    this.connection = database.connectionOf(frame)
    return Promise.resolve(this.connection)
  }

  override release(discard: boolean): Promise<void> | undefined {
    return this.lease === this.#handle ? undefined : super.release(discard)
  }
}
