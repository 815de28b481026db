import { Client } from 'pg'
import { median } from '../statistics.ts'
import { DelayProxy } from './delay-proxy.ts'

const ROUND_TRIPS = 60

export type LinkName = 'loopback' | '0.5 ms' | '2 ms' | '10 ms'

const DELAYS: { readonly [L in LinkName]: number } = {
  loopback: 0,
  '0.5 ms': 0.5,
  '2 ms': 2,
  '10 ms': 10,
}

export const LINKS = Object.keys(DELAYS) as readonly LinkName[]

/** A network link to the server. */
export interface Link {
  readonly name: LinkName
  readonly url: string
  /** The measured additional time of a round trip, compared with loopback, in milliseconds. */
  readonly added: number
  /** Runs `fn` without delay. */
  undelayed(fn: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

/** Opens a link to the server, and adjusts its delay to its name. */
export async function openLink(url: string, name: LinkName): Promise<Link> {
  if (name === 'loopback') {
    return { name, url, added: 0, undelayed: (fn) => fn(), close: () => Promise.resolve() }
  }
  const wanted = DELAYS[name]
  const proxy = await DelayProxy.start(url)
  const direct = await roundTrip(url)
  // The time of the proxy itself is a part of the delay.
  let delay = wanted
  for (let attempt = 0; attempt < 2; attempt++) {
    await proxy.delay(delay / 2)
    delay = Math.max(0, delay - ((await roundTrip(proxy.url)) - direct - wanted))
  }
  await proxy.delay(delay / 2)
  const added = (await roundTrip(proxy.url)) - (await roundTrip(url))
  const undelayed = async (fn: () => Promise<void>): Promise<void> => {
    await proxy.delay(0)
    await fn()
    await proxy.delay(delay / 2)
  }
  return { name, url: proxy.url, added, undelayed, close: () => proxy.stop() }
}

async function roundTrip(url: string): Promise<number> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const times: number[] = []
  for (let trip = 0; trip < ROUND_TRIPS; trip++) {
    const start = performance.now()
    await client.query('select 1')
    times.push(performance.now() - start)
  }
  await client.end()
  return median(times.slice(ROUND_TRIPS / 3))
}
