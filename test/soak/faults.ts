import { setTimeout as delay } from 'node:timers/promises'
import type { Socket } from 'node:net'
import type { Client } from 'pg'
import type { Application } from './application.ts'
import type { Random } from './random.ts'

const KINDS = ['session ended', 'statement cancelled', 'socket destroyed', 'socket closed'] as const
export type FaultKind = (typeof KINDS)[number]

/** Injects faults into an application. */
export class Faults {
  readonly counts: Record<FaultKind, number> = {
    'session ended': 0,
    'statement cancelled': 0,
    'socket destroyed': 0,
    'socket closed': 0,
  }
  readonly #app: Application
  readonly #random: Random
  #running: Promise<void> | undefined
  #stopped = true

  constructor(app: Application, random: Random) {
    this.#app = app
    this.#random = random
  }

  start(): void {
    this.#stopped = false
    this.#running = this.#run()
  }

  /** Resolves when the last fault has been done. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await delay(this.#random.between(5, 60))
      const kind = this.#random.pick(KINDS)
      if (await this.#do(kind)) this.counts[kind]++
    }
  }

  async #do(kind: FaultKind): Promise<boolean> {
    const { observer } = this.#app
    if (kind === 'session ended') return signal(observer, 'pg_terminate_backend')
    if (kind === 'statement cancelled') return signal(observer, 'pg_cancel_backend')
    const socket = this.#socket()
    if (kind === 'socket destroyed') socket?.destroy(new Error('the network is gone'))
    else socket?.end()
    return socket !== undefined
  }

  #socket(): Socket | undefined {
    const clients = [...this.#app.clients]
    const client = clients[this.#random.between(0, clients.length - 1)]
    return (client as unknown as { connection: { stream: Socket } } | undefined)?.connection.stream
  }
}

/** Hits a random session. An idle one loses only its connection. */
async function signal(
  observer: Client,
  name: 'pg_terminate_backend' | 'pg_cancel_backend',
): Promise<boolean> {
  const { rowCount } = await observer.query(
    `select ${name}(pid) from pg_stat_activity
     where application_name = 'soak' and state <> 'idle' order by random() limit 1`,
  )
  return rowCount === 1
}
