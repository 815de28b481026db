import { InvalidArgumentError } from '../errors.ts'
import type { PgClient, PgQuery } from './pg.ts'

type QueuedQuery = PgQuery & { readonly values?: unknown }

/**
 * Watches the queue of a client of `pg` while a pipeline query of the bridge is on its way there.
 * Code that wraps `query()` may pass on a copy of the query, or only its text. The deferred commands
 * go with the query itself, so a copy would run outside its transaction: it is refused, unsent.
 */
export class CopyGuard {
  readonly #client: PgClient
  #awaited: QueuedQuery | undefined

  constructor(client: PgClient) {
    this.#client = client
    const { _queryQueue: queue } = client as { _queryQueue?: QueuedQuery[] }
    if (!Array.isArray(queue)) return
    const { push } = queue
    const guarded = (query: QueuedQuery): number => {
      const awaited = this.#awaited
      if (awaited === undefined || query === awaited || !isCopy(query, awaited)) {
        return push.call(queue, query)
      }
      process.nextTick(() => query.handleError(copiedError(), this.#client.connection))
      return queue.length
    }
    Object.defineProperty(queue, 'push', { value: guarded, configurable: true, writable: true })
  }

  /** Refuses copies of the query from now on. */
  expect(query: QueuedQuery): void {
    this.#awaited = query
  }

  /** The query has arrived, or will not. */
  stop(): void {
    this.#awaited = undefined
  }
}

/** Code that wraps `query()` may also send statements of its own first: these are no copies. */
function isCopy(query: QueuedQuery, { text, values, callback }: QueuedQuery): boolean {
  const sharesValues = values !== undefined && query.values === values
  return (
    sharesValues || query.callback === callback || !query.text || query.text.includes(text ?? '')
  )
}

function copiedError(): InvalidArgumentError {
  return new InvalidArgumentError(
    'pg was given a copy of the query that the bridge has sent: the query() of this client is wrapped, or that of a class of its own. ' +
      'BEGIN, and the statements that leave together, go with the query itself, so a copy would run outside the transaction. ' +
      'Give on the very object that query() is given. Nothing was sent',
  )
}
