import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import { type SharedConnectionOptions, shareConnection } from 'shared-connection'
import 'shared-connection/register'
import { beforeEach } from 'vitest'
import { type App, notes, replies, type Schema, useApp } from './app.ts'
import { MemoryCache } from './memory-cache.ts'

export interface CachedApp extends App {
  readonly cache: MemoryCache
  /** The texts of the notes, read by Drizzle through its cache. */
  cached(): Promise<string[]>
  /** The texts of the replies, read by Drizzle through its cache. */
  cachedReplies(): Promise<string[]>
  /** Fills the cache, then clears the recorded calls. */
  warm(): Promise<void>
}

/** Makes an application with a query cache of Drizzle for the calling test file. */
export function useCachedApp(
  strategy: 'all' | 'explicit' = 'all',
  options: SharedConnectionOptions = {},
): CachedApp {
  const app = useApp({ shared: options })
  const cache = new MemoryCache(strategy)
  const make = () => {
    const schema = { notes, replies }
    const orm = drizzle({ client: app.pool, cache, schema } as { client: typeof app.pool })
    const shared = shareConnection(orm)
    const db = new Kysely<Schema>({
      dialect: new PostgresDialect({ pool: orm.$client }),
    }).extension('shared-connection', { drizzle: orm })
    return { orm, shared, db }
  }
  let made: ReturnType<typeof make> | undefined
  const own = {
    cache,
    async cached() {
      const { orm } = made as ReturnType<typeof make>
      const query = orm.select({ text: notes.text }).from(notes).orderBy(notes.id)
      const found = await (strategy === 'all' ? query : query.$withCache())
      return found.map(({ text }) => text)
    },
    async cachedReplies() {
      const { orm } = made as ReturnType<typeof make>
      const query = orm.select({ text: replies.text }).from(replies).orderBy(replies.id)
      const found = await (strategy === 'all' ? query : query.$withCache())
      return found.map(({ text }) => text)
    },
    async warm() {
      cache.clear()
      await own.cached()
      await own.cachedReplies()
      cache.calls = []
      app.transcript.clear()
    },
  }
  beforeEach(() => {
    made ??= make()
    cache.onForget = () => {}
    cache.clear()
  })
  return new Proxy({} as CachedApp, {
    get(_, key) {
      if (key in own) return Reflect.get(own, key)
      if (made !== undefined && key in made) return Reflect.get(made, key)
      return Reflect.get(app, key)
    },
  })
}
