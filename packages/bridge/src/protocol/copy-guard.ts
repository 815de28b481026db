import type { PgClient, PgQuery } from './pg.ts'
import { copiedError } from '../database/control-errors.ts'

type QueuedQuery = PgQuery & { readonly values?: unknown }

/**
 * Watches what comes into the queue of a client of `pg` while a query of the bridge is on its way there.
 * Somebody who wraps `query()` may give on a copy of that, or its text alone. What rides with it can not
 * ride with a copy, which would run outside its transaction: so it is refused as `pg` refuses, unsent.
 */
export class QueueGuard {
  readonly #client: PgClient
  #awaited: QueuedQuery | undefined

  constructor(client: PgClient) {
    this.#client = client
    const { _queryQueue: queue } = client as { _queryQueue?: QueuedQuery[] }
    if (!Array.isArray(queue)) return
    const { push } = queue
    const guarded = (query: QueuedQuery): number => {
      if (!this.#isCopy(query)) return push.call(queue, query)
      process.nextTick(() => query.handleError(copiedError(), this.#client.connection))
      return queue.length
    }
    Object.defineProperty(queue, 'push', { value: guarded, configurable: true, writable: true })
  }

  /** From now on a copy of the query is refused, until that has come itself. */
  expect(query: QueuedQuery): void {
    this.#awaited = query
  }

  /** It has come, or will not. */
  stop(): void {
    this.#awaited = undefined
  }

  /** What others send for themselves, in front of it, has a text and values of its own. */
  #isCopy(query: QueuedQuery): boolean {
    const awaited = this.#awaited
    if (awaited === undefined || query === awaited) return false
    const { text, values, callback } = awaited
    const sharesValues = values !== undefined && query.values === values
    return (
      sharesValues || query.callback === callback || !query.text || query.text.includes(text ?? '')
    )
  }
}
