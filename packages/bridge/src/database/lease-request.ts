import type { Frame, Layer } from '../transaction/frame.ts'
import type { CallSite } from '../transaction/call-site.ts'
import { Scope, runIn } from '../transaction/scope.ts'
import type { Database } from './database.ts'
import type { Lease, LeaseKind } from './lease.ts'

/** Who `pool.connect()` is called for, where the caller can not hold a client of its own. */
export class LeaseRequest {
  readonly kind: LeaseKind
  readonly layer: Layer
  readonly block: Scope | undefined
  readonly callSite: CallSite | undefined
  /** The frame of the handle (`trx`) that it was asked for on, if it was. */
  parent: Frame | undefined
  /** Aborted when its statement is not wanted any more. */
  signal: AbortSignal | undefined
  /** Written by `pool.connect()`, when it is called for this borrower. */
  lease: Lease | undefined

  constructor(kind: LeaseKind, layer: Layer, block?: Scope, callSite?: CallSite) {
    this.kind = kind
    this.layer = layer
    this.block = block
    this.callSite = callSite
  }

  /** The same for one statement, which `signal` can abort. */
  for(signal: AbortSignal): LeaseRequest {
    const request = new LeaseRequest(this.kind, this.layer, this.block, this.callSite)
    return Object.assign(request, { parent: this.parent, lease: this.lease, signal })
  }

  /** Runs `fn` as code that stands under `link`, and speaks for this borrower. */
  run<T>(database: Database, scope: Scope | undefined, fn: () => T): T {
    return runIn(new Scope(scope, database, 'via', this), fn)
  }

  /** The borrower that code under `link` speaks for. */
  static under(scope: Scope | undefined, database: Database): LeaseRequest | undefined {
    return scope?.database === database && scope.handle instanceof LeaseRequest
      ? scope.handle
      : undefined
  }
}
