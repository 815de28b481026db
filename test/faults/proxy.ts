import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Passage } from '../setup/app.ts'
import { type Message, MessageReader, type Moment } from './messages.ts'

/**
 * What happens to the connection at a message: it is closed on both sides before or after that
 * message has passed, with half of it passed, or reset in the face of the client; or nothing passes
 * any more, either way, until the fault is lifted.
 */
export type Harm = 'cut before' | 'cut after' | 'reset' | 'truncate' | 'stall'

/** A fault that waits for its moment. */
interface Fault {
  /** Resolves when it has struck. */
  readonly struck: Promise<void>
  /** Lets pass what a stall holds. */
  lift(): void
}

interface ArmedFault {
  readonly harm: Harm
  readonly at: Moment
  strike(link: Link): void
}

/** Stands between a pool and the server, and does harm at a chosen message of the protocol. */
export class FaultyProxy implements Passage {
  /** How many connections were made through it. */
  connections = 0
  #faults: ArmedFault[] = []
  #server: Server | undefined
  readonly #links = new Set<Link>()

  /** Starts to listen. Gives the URL by which the server is reached through it. */
  async open(url: string): Promise<string> {
    const target = new URL(url)
    this.#server = createServer((client) => {
      this.connections++
      const server = connect(Number(target.port || 5432), target.hostname)
      const link = new Link(client, server, (message) => this.#take(message))
      this.#links.add(link)
      server.once('close', () => this.#links.delete(link))
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    const through = new URL(url)
    through.hostname = '127.0.0.1'
    through.port = String((this.#server.address() as AddressInfo).port)
    return through.href
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.cut()
    this.#server?.close()
    if (this.#server?.listening) await once(this.#server, 'close')
  }

  /** Does harm once, at the first message from now on that is the one. */
  plan(harm: Harm, at: Moment): Fault {
    const { promise, resolve } = Promise.withResolvers<void>()
    let struck: Link | undefined
    this.#faults.push({
      harm,
      at,
      strike(link) {
        struck = link
        resolve()
      },
    })
    return { struck: promise, lift: () => struck?.resume() }
  }

  /** Forgets the faults whose moment has not come. */
  forget(): void {
    this.#faults = []
  }

  /** Closes all connections now. */
  cut(): void {
    for (const link of this.#links) link.cut()
  }

  #take(message: Message): ArmedFault | undefined {
    const fault = this.#faults.find(({ at }) => at(message))
    if (fault !== undefined) this.#faults.splice(this.#faults.indexOf(fault), 1)
    return fault
  }
}

/** One connection through the proxy. */
class Link {
  readonly #client: Socket
  readonly #server: Socket
  readonly #take: (message: Message) => ArmedFault | undefined
  /** What a stall holds, and what is to be done behind it. */
  #held: (() => void)[] | undefined
  #isCut = false

  constructor(client: Socket, server: Socket, take: (message: Message) => ArmedFault | undefined) {
    this.#client = client
    this.#server = server
    this.#take = take
    this.#forward(client, server, new MessageReader('frontend'))
    this.#forward(server, client, new MessageReader('backend'))
  }

  /** Closes both sides, behind all that has passed. */
  cut(): void {
    this.#isCut = true
    this.#client.end()
    this.#server.end()
  }

  /** Lets everything pass again. */
  resume(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const pass of held) this.#orHold(pass)
  }

  #forward(from: Socket, to: Socket, reader: MessageReader): void {
    from.setNoDelay(true)
    from.on('data', (chunk) => {
      // what came in one packet leaves in one
      to.cork()
      for (const message of reader.read(chunk)) this.#orHold(() => this.#pass(message, to))
      to.uncork()
    })
    from.on('end', () => this.#orHold(() => to.end()))
    // a connection that was reset is closed, too
    from.on('error', () => this.#orHold(() => to.end()))
  }

  #orHold(pass: () => void): void {
    if (this.#held === undefined) pass()
    else this.#held.push(pass)
  }

  #pass(message: Message, to: Socket): void {
    if (this.#isCut) return
    const fault = this.#take(message)
    if (fault === undefined) {
      to.write(message.bytes)
      return
    }
    const { bytes } = message
    if (fault.harm === 'stall') this.#held = [() => to.write(bytes)]
    else {
      if (fault.harm === 'cut after') to.write(bytes)
      if (fault.harm === 'truncate') to.write(bytes.subarray(0, bytes.length >> 1))
      to.uncork()
      if (fault.harm === 'reset') this.#client.resetAndDestroy()
      this.cut()
    }
    fault.strike(this)
  }
}
