import { connectionOf } from '../connection/connection.ts'
import type { Connection } from '../connection/connection.ts'
import { runIn, Scope } from '../transaction/scope.ts'
import type { Database } from './database.ts'
import type { Lease, LeaseOptions } from './lease.ts'

/** Outside a transaction. */
const STATEMENT: LeaseOptions = { layer: 'kysely', parent: null }

/**
 * A request for a connection by code that goes through another's driver. The driver calls
 * `pool.connect()` and `client.query()`, which find the request by the scope.
 */
export class LeaseRequest {
  options: LeaseOptions
  /** The lease that its statements go through; nothing for those of the transaction around. */
  lease: Lease | undefined
  /** Set once `pool.connect()` was called for it. */
  connection: Connection | undefined
  /** The lease that was taken for it, and is released with its client. */
  taken: Lease | undefined
  /** Aborted when its statement is not wanted any more. */
  readonly signal: AbortSignal | undefined
  #isStatement = false

  constructor(options: LeaseOptions, lease?: Lease, signal?: AbortSignal) {
    this.options = options
    this.lease = lease
    this.signal = signal
  }

  /** A request for a single statement, on a handle that has a lease or on none. */
  static forStatement(handle: Lease | undefined): LeaseRequest {
    const request = new LeaseRequest(STATEMENT, handle)
    request.#isStatement = true
    return request
  }

  /** The same for one statement on its connection, which `signal` can abort. */
  for(signal: AbortSignal): LeaseRequest {
    const request = new LeaseRequest(this.options, this.lease, signal)
    request.connection = this.connection
    return request
  }

  /** Gets the connection for code in the scope. A statement in a transaction needs no lease of its own. */
  async connect(database: Database, scope: Scope | undefined): Promise<Connection> {
    const frame = this.#isStatement ? database.frameOf(this.lease, scope) : undefined
    if (frame === undefined) {
      this.taken = await database.acquireLease(this.options, scope)
      this.lease = this.taken
      this.connection = this.taken.connection
    } else this.connection = connectionOf(frame)
    return this.connection
  }

  /** Runs `fn` in a scope inside `scope` that names this request. */
  run<T>(database: Database, scope: Scope | undefined, fn: () => T): T {
    return runIn(new Scope(scope, database, 'request', this), fn)
  }

  /** The request that the scope names. */
  static of(scope: Scope | undefined, database: Database): LeaseRequest | undefined {
    return scope?.database === database && scope.kind === 'request'
      ? (scope.handle as LeaseRequest)
      : undefined
  }
}
