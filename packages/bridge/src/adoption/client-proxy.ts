import type { Connection } from '../connection/connection.ts'
import type { PgClient } from '../protocol/pg.ts'

/** What a client that is lent has of the bridge, in place of what the physical one has. */
interface OwnMethods {
  query(this: void, ...args: unknown[]): unknown
  release(this: void, error?: Error | boolean): void
  getTransactionStatus(this: void): string | null
}

/** A client that is lent: the physical one in all but what the bridge does itself. */
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

/** Keeps what its user puts in place of the bridge's methods to itself: nobody else gets that. */
class ClientProxy implements ProxyHandler<PgClient> {
  readonly #bridge: OwnMethods
  #own: OwnMethods
  proxy: PgClient | undefined

  constructor(bridge: OwnMethods) {
    this.#bridge = bridge
    this.#own = bridge
  }

  get(client: PgClient, key: string | symbol, receiver: object): unknown {
    if (isOwn(key)) return this.#own[key]
    // pg's own `query`, which a method of the user's may call by `super`, queues what it is to send
    if (key === '_queryQueue') return this.#queue(Reflect.get(client, key) as object)
    if (key === '_pulseQueryQueue') return ignore
    // all others are called on what was lent: what they send, they send through it
    return Reflect.get(client, key, receiver)
  }

  set(client: PgClient, key: string | symbol, value: unknown, receiver: object): boolean {
    if (!isOwn(key)) return Reflect.set(client, key, value, receiver)
    const own = this.#patched
    // what inherits from it gets a method of its own, as from any object
    return Reflect.set(own, key, value, receiver === this.proxy ? own : receiver)
  }

  defineProperty(client: PgClient, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    return Reflect.defineProperty(isOwn(key) ? this.#patched : client, key, descriptor)
  }

  deleteProperty(client: PgClient, key: string | symbol): boolean {
    return Reflect.deleteProperty(isOwn(key) ? this.#patched : client, key)
  }

  /** The queue of pg, but for what is put into it: that is sent by the bridge. */
  #queue(queue: object): object {
    return Object.create(queue, { push: { value: this.#bridge.query } }) as object
  }

  /** The bridge's methods, with the user's in front: where one of those is deleted, the bridge's is there again. */
  get #patched(): OwnMethods {
    if (this.#own === this.#bridge) this.#own = Object.create(this.#bridge) as OwnMethods
    return this.#own
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

function ignore(): void {}
