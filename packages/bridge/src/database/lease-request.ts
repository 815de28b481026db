import type { Frame, Layer } from '../transaction/frame.ts'
import type { Origin } from '../transaction/call-site.ts'
import { Link, runIn } from '../transaction/scope.ts'
import type { Database } from './database.ts'
import type { Lease, LeaseKind } from './lease.ts'

/** Who `pool.connect()` is called for, where the caller can not hold a client of its own. */
export class Borrower {
  readonly kind: LeaseKind
  readonly layer: Layer
  readonly block: Link | undefined
  readonly origin: Origin | undefined
  /** The frame of the handle (`trx`) that it was asked for on, if it was. */
  parent: Frame | undefined
  /** Aborted when its statement is not wanted any more. */
  signal: AbortSignal | undefined
  /** Written by `pool.connect()`, when it is called for this borrower. */
  lease: Lease | undefined

  constructor(kind: LeaseKind, layer: Layer, block?: Link, origin?: Origin) {
    this.kind = kind
    this.layer = layer
    this.block = block
    this.origin = origin
  }

  /** The same for one statement, which `signal` can abort. */
  for(signal: AbortSignal): Borrower {
    const borrower = new Borrower(this.kind, this.layer, this.block, this.origin)
    return Object.assign(borrower, { parent: this.parent, lease: this.lease, signal })
  }

  /** Runs `fn` as code that stands under `link`, and speaks for this borrower. */
  run<T>(database: Database, link: Link | undefined, fn: () => T): T {
    return runIn(new Link(link, database, 'via', this), fn)
  }

  /** The borrower that code under `link` speaks for. */
  static under(link: Link | undefined, database: Database): Borrower | undefined {
    return link?.database === database && link.handle instanceof Borrower ? link.handle : undefined
  }
}
