import type { Pool } from 'pg'
import type { SharedConnection } from 'shared-connection'
import { HandWritten } from './hand-written.ts'
import type { Layer } from './layer.ts'

/** Sends `pg` statements on the adopted pool, in blocks of the bridge, to measure the bridge alone. */
export class ThroughShared extends HandWritten {
  readonly #shared: SharedConnection

  constructor(name: string, pool: Pool, shared: SharedConnection) {
    super(name, pool)
    this.#shared = shared
  }

  override transaction(fn: (inside: Layer) => Promise<unknown>): Promise<unknown> {
    return this.#shared.transaction(() => fn(this))
  }
}
