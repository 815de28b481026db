import { beforeAll, beforeEach } from 'vitest'
import { type App, type AppOptions, useApp } from '../setup/app.ts'
import { FaultyProxy } from './proxy.ts'
import { session } from './support.ts'

/** An application whose only client goes through a proxy that injects faults. */
export interface FaultyApp {
  readonly app: App
  readonly proxy: FaultyProxy
  /** The process id of the client's session at the beginning of the test. */
  readonly pid: number
  /** Counts the round trips that pass the proxy while `fn` runs. */
  readonly tripsOf: (fn: () => Promise<unknown>) => Promise<number>
}

/** Gives the calling test file, or block, such an application. */
export function useFaultyApp(options: AppOptions = {}): FaultyApp {
  const proxy = new FaultyProxy()
  const app = useApp({ ...options, pool: { ...options.pool, max: 1 }, through: proxy })
  let pid = 0

  beforeAll(() => {
    // pg emits the loss of an idle client on the pool.
    app.pool.on('error', () => {})
  })
  beforeEach(async () => {
    proxy.forget()
    pid = await session(app)
  })

  return {
    app,
    proxy,
    get pid() {
      return pid
    },
    tripsOf: async (fn) => {
      let trips = 0
      proxy.plan('stall', ({ side, type }) => {
        if (side === 'frontend' && (type === 'S' || type === 'Q')) trips++
        return false
      })
      await fn()
      proxy.forget()
      return trips
    },
  }
}
