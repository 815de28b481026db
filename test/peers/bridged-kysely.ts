import { drizzle } from 'drizzle-orm/node-postgres'
import type * as Stock from 'kysely'
import { Pool } from 'pg'
import 'shared-connection/register'
import { noteShared } from './witness.ts'

type Exports = Pick<typeof Stock, 'Kysely' | 'PostgresDialect'>

/** A Kysely that is extended as soon as it is made, where its dialect has a pool of `pg`. */
export function bridge({ Kysely, PostgresDialect }: Exports): Exports {
  const configs = new WeakMap<object, Stock.PostgresDialectConfig>()
  return {
    PostgresDialect: new Proxy(PostgresDialect, {
      construct(target, [config]: [Stock.PostgresDialectConfig], newTarget) {
        const dialect = Reflect.construct(target, [config], newTarget)
        configs.set(dialect, config)
        return dialect
      },
    }),
    Kysely: new Proxy(Kysely, {
      construct(target, [props]: [Stock.KyselyConfig], newTarget) {
        const config = configs.get(props.dialect)
        if (config === undefined) return Reflect.construct(target, [props], newTarget)
        const pool = typeof config.pool === 'function' ? poolLike(config.pool) : config.pool
        // Some tests give the dialect an object of their own in place of a pool.
        if (!(pool instanceof Pool)) return Reflect.construct(target, [props], newTarget)
        const dialect = new PostgresDialect({ ...config, pool })
        return share(new Kysely({ ...props, dialect }), pool)
      },
    }),
  }
}

/** A pool that is there at once, with the options of the one that `factory` promises. */
function poolLike(factory: () => Promise<unknown>): Pool {
  const pool = new Pool()
  void imitate(pool, factory())
  return pool
}

/** Kysely awaits more than this does before it connects. */
async function imitate(pool: Pool, promise: Promise<unknown>): Promise<void> {
  const model = (await promise) as Pool
  // Descriptors, since pg hides the password from whatever enumerates.
  Object.defineProperties(pool.options, Object.getOwnPropertyDescriptors(model.options))
  for (const listener of model.listeners('error')) pool.on('error', listener as () => void)
}

/** The bridge leaves the pool to Drizzle. In the suite there is no Drizzle, so Kysely ends it. */
function share(db: Stock.Kysely<unknown>, pool: Pool): object {
  noteShared()
  const shared = db.extension('shared-connection', { drizzle: drizzle({ client: pool }) })
  return Object.defineProperty(shared, 'destroy', {
    async value() {
      await Object.getPrototypeOf(shared).destroy.call(shared)
      if (!pool.ending) await pool.end()
    },
  })
}
