import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export type Order =
  | { readonly type: 'listen'; readonly host: string; readonly port: number }
  | { readonly type: 'delay'; readonly oneWay: number }
  | { readonly type: 'trips' }

export type Answer =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'trips'; readonly trips: number }

/**
 * A proxy between a pool and the server. It delays all bytes equally in both directions, and counts the
 * round trips. It runs in a separate process, so it is not part of the measured CPU time.
 */
export class DelayProxy {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  /** Opens a proxy to the server of `url`, without delay. */
  static async start(url: string): Promise<DelayProxy> {
    const target = new URL(url)
    const child = fork(fileURLToPath(new URL('delay-server.ts', import.meta.url)), { execArgv: [] })
    const { hostname: host, port } = target
    const answer = await ask(child, { type: 'listen', host, port: Number(port || 5432) })
    if (answer.type !== 'listening') throw new Error('the proxy has not started')
    target.hostname = '127.0.0.1'
    target.port = String(answer.port)
    return new DelayProxy(child, target.href)
  }

  /** Sets the delay in each direction, in milliseconds. Call it only while no bytes pass. */
  async delay(oneWay: number): Promise<void> {
    this.#child.send({ type: 'delay', oneWay } satisfies Order)
    // The process handles messages in order: when this one is answered, the previous one is done.
    await this.trips()
  }

  /** Returns the number of round trips through the proxy. */
  async trips(): Promise<number> {
    const answer = await ask(this.#child, { type: 'trips' })
    if (answer.type !== 'trips') throw new Error('the proxy has not counted')
    return answer.trips
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }
}

async function ask(child: ChildProcess, order: Order): Promise<Answer> {
  const answered = once(child, 'message')
  child.send(order)
  const [answer] = (await answered) as [Answer]
  return answer
}
