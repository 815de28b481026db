import type { Connection } from './connection.ts'
import type { PgClient } from './pg.ts'

/** What a client that is lent has of the bridge, in place of what the physical one has. */
interface OwnMethods {
  query(this: void, ...args: unknown[]): unknown
  release(this: void, error?: Error | boolean): void
  getTransactionStatus(this: void): string | null
}

/** A client that is lent: the physical one in all but what the bridge does itself. */
export function facade(
  connection: Connection,
  query: OwnMethods['query'],
  release: OwnMethods['release'],
): PgClient {
  const getTransactionStatus = (): string | null => statusOf(connection)
  const handler = new Facade({ query, release, getTransactionStatus })
  const proxy = new Proxy(connection.client, handler)
  handler.proxy = proxy
  return proxy
}

class Facade implements ProxyHandler<PgClient> {
  readonly #own: OwnMethods
  proxy: PgClient | undefined

  constructor(own: OwnMethods) {
    this.#own = own
  }

  get(client: PgClient, key: string | symbol): unknown {
    if (isOwn(key)) return this.#own[key]
    const value: unknown = Reflect.get(client, key, client)
    if (typeof value !== 'function' || key === 'constructor') return value
    return (...args: unknown[]): unknown => {
      const result: unknown = value.apply(client, args)
      // `on` gives the client, for another call on it
      return result === client ? this.proxy : result
    }
  }

  set(client: PgClient, key: string | symbol, value: unknown): boolean {
    return Reflect.set(client, key, value, client)
  }
}

function isOwn(key: string | symbol): key is keyof OwnMethods {
  return key === 'query' || key === 'release' || key === 'getTransactionStatus'
}

/** What the server would say if it had got what is held back. */
function statusOf({ client, stack: { top } }: Connection): string | null {
  if (top === undefined) return client.getTransactionStatus()
  return top.failure === undefined ? 'T' : 'E'
}
