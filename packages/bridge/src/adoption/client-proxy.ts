import type { Connection } from '../connection/connection.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { PgClient } from '../protocol/pg.ts'

/** The methods that a lent client has from the bridge. */
interface OwnMethods {
  query(this: void, ...args: unknown[]): unknown
  release(this: void, error?: Error | boolean): void
  getTransactionStatus(this: void): string | null
}

/** A lent client: the physical one, but for the methods that the bridge replaces. */
export function clientProxy(
  connection: Connection,
  query: OwnMethods['query'],
  release: OwnMethods['release'],
): PgClient {
  const getTransactionStatus = (): string | null => statusOf(connection)
  const handler = new ClientProxy({ query, release, getTransactionStatus })
  const proxy = new Proxy(connection.client, handler)
  handler.proxy = proxy
  return proxy
}

/** A user who patches one of the bridge's methods patches this lent client only, not the physical one. */
class ClientProxy implements ProxyHandler<PgClient> {
  readonly #bridge: OwnMethods
  #own: OwnMethods
  proxy: PgClient | undefined

  constructor(bridge: OwnMethods) {
    this.#bridge = bridge
    this.#own = bridge
  }

  get(client: PgClient, key: string | symbol, receiver: object): unknown {
    if (Object.hasOwn(this.#bridge, key)) return this.#own[key as keyof OwnMethods]
    if (key === '_queryQueue') return withoutPush(Reflect.get(client, key) as object)
    // All other methods are called on the proxy, so that they send through the bridge.
    return Reflect.get(client, key, receiver)
  }

  set(client: PgClient, key: string | symbol, value: unknown, receiver: object): boolean {
    if (!Object.hasOwn(this.#bridge, key)) return Reflect.set(client, key, value, receiver)
    const own = this.#patched
    // An object that inherits from the proxy gets a method of its own, as from any object.
    return Reflect.set(own, key, value, receiver === this.proxy ? own : receiver)
  }

  defineProperty(client: PgClient, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    return Reflect.defineProperty(this.#ownerOf(client, key), key, descriptor)
  }

  deleteProperty(client: PgClient, key: string | symbol): boolean {
    return Reflect.deleteProperty(this.#ownerOf(client, key), key)
  }

  #ownerOf(client: PgClient, key: string | symbol): object {
    return Object.hasOwn(this.#bridge, key) ? this.#patched : client
  }

  /** The user's methods in front of the bridge's: where one is deleted, the bridge's is there again. */
  get #patched(): OwnMethods {
    if (this.#own === this.#bridge) this.#own = Object.create(this.#bridge) as OwnMethods
    return this.#own
  }
}

/** pg's `query`, which a subclass can call by `super`, would queue a statement that the bridge cannot see. */
function withoutPush(queue: object): object {
  return Object.create(queue, { push: { value: refuseSuper } }) as object
}

function refuseSuper(): never {
  throw new InvalidArgumentError(
    'a method of the client has called super.query(), which would send its statement outside of the transaction. ' +
      'Call this.query() instead. Nothing was sent',
  )
}

/** The status that the server would report if it had got the deferred commands. */
function statusOf({ client, stack: { top } }: Connection): string | null {
  if (top === undefined) return client.getTransactionStatus()
  return top.failure === undefined ? 'T' : 'E'
}
