import { Scope, runIn } from '../transaction/scope.ts'
import type { Database } from './database.ts'
import type { Lease, LeaseOptions } from './lease.ts'

/**
 * What `pool.connect()` is to take a connection for, where its caller can only be found by its scope:
 * Kysely's driver calls it, and keeps the client.
 */
export class LeaseRequest {
  options: LeaseOptions
  /** Set by `pool.connect()`. */
  lease: Lease | undefined
  /** Aborted when its statement is not wanted any more. */
  readonly signal: AbortSignal | undefined

  constructor(options: LeaseOptions, lease?: Lease, signal?: AbortSignal) {
    this.options = options
    this.lease = lease
    this.signal = signal
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
  static under(scope: Scope | undefined, database: Database): LeaseRequest | undefined {
    return scope?.database === database && scope.handle instanceof LeaseRequest
      ? scope.handle
      : undefined
  }
}
