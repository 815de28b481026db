import type { Pool } from 'pg'
import type { SharedConnection } from 'shared-connection'
import { HandWritten } from './hand-written.ts'
import type { Layer } from './layer.ts'

/** The statements of `pg` on the adopted pool, in blocks of the bridge: what it costs by itself. */
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
