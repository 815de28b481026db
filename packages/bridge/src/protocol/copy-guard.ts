import { InvalidArgumentError } from '../errors.ts'
import type { PgClient, PgQuery } from './pg.ts'

type QueuedQuery = PgQuery & { readonly values?: unknown }

/** Called with a copy. Returns the query that is queued in its place, or `undefined` to refuse the copy. */
export type OnCopy = (copy: PgQuery) => PgQuery | undefined

/**
 * Watches the queue of a client of `pg` while a pipeline query of the bridge is on its way there.
 * Code that wraps `query()` may pass on a copy of the query, or only its text. The deferred commands
 * go with the query itself, so a copy has to wait until they have been answered.
 */
export class CopyGuard {
  readonly #client: PgClient
  #awaited: QueuedQuery | undefined
  #onCopy: OnCopy | undefined
  /** Queues what was held. The client sends it once it has called back. */
  readonly letIn: (query: PgQuery) => void

  constructor(client: PgClient) {
    this.#client = client
    const { _queryQueue: queue } = client as { _queryQueue?: QueuedQuery[] }
    this.letIn = (query) => void queue?.push(query)
    if (!Array.isArray(queue)) return
    const { push } = queue
    const guarded = (query: QueuedQuery): number => {
      const awaited = this.#awaited
      if (awaited === undefined || query === awaited || !isCopy(query, awaited)) {
        return push.call(queue, query)
      }
      const instead = this.#onCopy?.(query)
      if (instead !== undefined) return push.call(queue, instead)
      process.nextTick(() => query.handleError(copiedError(), this.#client.connection))
      return queue.length
    }
    Object.defineProperty(queue, 'push', { value: guarded, configurable: true, writable: true })
  }

  /** Watches for copies of the query from now on. */
  expect(query: QueuedQuery, onCopy: OnCopy): void {
    this.#awaited = query
    this.#onCopy = onCopy
  }

  /** The query has arrived, or will not. */
  stop(): void {
    this.#awaited = undefined
    this.#onCopy = undefined
  }
}

/** Code that wraps `query()` may also send statements of its own first: these are no copies. */
function isCopy(query: QueuedQuery, { text, values, callback }: QueuedQuery): boolean {
  if (values !== undefined && query.values === values) return true
  if (query.callback === callback || !query.text) return true
  // An empty text is part of every text.
  return Boolean(text) && query.text.includes(text ?? '')
}

function copiedError(): InvalidArgumentError {
  return new InvalidArgumentError(
    'pg was given a copy of a page of a stream: the query() of this client is wrapped, or that of a class of its own. ' +
      'A page is a query of the bridge, so a copy would run outside of the portal. ' +
      'Give on the very object that query() is given. Nothing was sent',
  )
}
