import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Passage } from '../setup/app.ts'
import { type Message, MessageReader, type Moment } from './messages.ts'

/**
 * The fault at a message. The connection is closed on both sides before the message passes, after it, or
 * with half of it passed; or it is reset for the client; or nothing passes in either direction until the
 * fault is lifted.
 */
export type Harm = 'cut before' | 'cut after' | 'reset' | 'truncate' | 'stall'

/** A planned fault. */
interface Fault {
  /** Resolves when the fault has happened. */
  readonly struck: Promise<void>
  /** Passes the bytes that a stall has withheld. */
  lift(): void
}

interface ArmedFault {
  readonly harm: Harm
  readonly at: Moment
  strike(link: Link): void
}

/** A proxy between a pool and the server. It injects faults at chosen messages of the protocol. */
export class FaultyProxy implements Passage {
  /** The number of connections through the proxy so far. */
  connections = 0
  #faults: ArmedFault[] = []
  #server: Server | undefined
  readonly #links = new Set<Link>()

  /** Starts to listen. Returns the URL of the server through the proxy. */
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

  /** Injects a fault once, at the first message from now on that matches. */
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

  /** Removes the faults that have not happened yet. */
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
  /** The bytes that a stall withholds, and the actions after them. */
  #held: (() => void)[] | undefined
  #isCut = false

  constructor(client: Socket, server: Socket, take: (message: Message) => ArmedFault | undefined) {
    this.#client = client
    this.#server = server
    this.#take = take
    this.#forward(client, server, new MessageReader('frontend'))
    this.#forward(server, client, new MessageReader('backend'))
  }

  /** Closes both sides, after all bytes that have passed. */
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
      // The bytes of one packet are sent as one packet.
      to.cork()
      for (const message of reader.read(chunk)) this.#orHold(() => this.#pass(message, to))
      to.uncork()
    })
    from.on('end', () => this.#orHold(() => to.end()))
    // A connection that was reset is closed as well.
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
