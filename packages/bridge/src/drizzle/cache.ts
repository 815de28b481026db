import { objectSlot } from '../object-slot.ts'
import type { Database } from '../database/database.ts'
import type { Lease } from '../database/lease.ts'
import { replace } from '../adoption/replace.ts'
import { readsOnly } from '../sql/reads-only.ts'
import type { Frame } from '../transaction/frame.ts'
import { currentScope } from '../transaction/scope.ts'
import type { DrizzleCache, Internals, Session } from './types.ts'

const TABLE_NAME = Symbol.for('drizzle:BaseName')
const TABLE_SCHEMA = Symbol.for('drizzle:Schema')

/** The user's cache, which neither sees nor answers what a transaction reads. */
interface GuardedCache extends DrizzleCache {
  /** The transaction that a query through it belongs to. */
  root(): Frame | undefined
  forLease(lease: Lease): GuardedCache
}

/**
 * The cache for the session of a handle, which may be used outside the scope of its transaction.
 * Nothing if Drizzle was given no cache.
 */
export function cacheForLease(session: Session, lease: Lease): DrizzleCache | undefined {
  return (session.cache as Partial<GuardedCache> | undefined)?.forLease?.(lease)
}

/**
 * Keeps Drizzle's query cache true. Inside a transaction it is neither asked nor filled, since the rows
 * that are read there may never be committed. After COMMIT it forgets all tables that both layers wrote.
 */
export function adoptCache(orm: Internals, session: Session, database: Database): () => void {
  if (session.cache === undefined || isNoop(session.cache)) return () => {}
  const guard = new CacheGuard(session.cache, database, tablesOfSchema(orm))
  const before = database.onWrite
  database.onWrite = async (tables, root) => {
    await before?.(tables, root)
    await guard.forget(tables, root)
  }
  const restore = replace(session, {
    cache: guard.cacheFor(undefined),
    prepareQuery: preparing(session.prepareQuery, database),
  })
  return () => {
    restore()
    database.onWrite = before
  }
}

/** Stands between Drizzle and the user's cache. */
class CacheGuard {
  readonly #cache: DrizzleCache
  readonly #database: Database
  /** The names of all tables that the schema or a query has named. */
  readonly #known: Set<string>
  /** The tables that a transaction has written. */
  readonly #written = objectSlot<Set<unknown>>()

  constructor(cache: DrizzleCache, database: Database, tables: readonly string[]) {
    this.#cache = cache
    this.#database = database
    this.#known = new Set(tables)
  }

  /** The cache for a handle, or for the code that calls. */
  cacheFor(lease: Lease | undefined): GuardedCache {
    const cache = this.#cache
    const root = (): Frame | undefined => this.#database.frameOf(lease, currentScope())?.root
    const own: GuardedCache = {
      // Called on the user's own object, which alone has the private fields of its class.
      strategy: () => cache.strategy(),
      root,
      forLease: (inner) => this.cacheFor(inner),
      get: async (...args) => {
        this.#note(args[1])
        return root() === undefined ? cache.get(...args) : undefined
      },
      put: async (...args) => {
        this.#note(args[2])
        if (root() === undefined) await cache.put(...args)
      },
      onMutate: async (mutation) => {
        const around = root()
        const { tables } = mutation
        if (around === undefined || tables === undefined) return cache.onMutate(mutation)
        return this.forget(Array.isArray(tables) ? tables : [tables], around)
      },
    }
    return Object.assign(Object.create(cache) as GuardedCache, own)
  }

  /** Forgets tables at once, or after the commit of the transaction. */
  async forget(written: readonly unknown[] | 'all', root: Frame | undefined): Promise<void> {
    // A Drizzle cache knows tables by their names only.
    const tables = (written === 'all' ? [...this.#known] : written).flatMap((table) =>
      alike(table, this.#known),
    )
    if (root === undefined) return this.#cache.onMutate({ tables: [...new Set(tables)] })
    const noted = this.#written.get(root)
    if (noted !== undefined) return tables.forEach((table) => noted.add(table))
    const names = new Set<unknown>(tables)
    this.#written.set(root, names)
    root.hooks.addFirst({
      kind: 'after-commit',
      run: () => this.#cache.onMutate({ tables: [...names] }),
    })
  }

  #note(tables: readonly string[] | undefined): void {
    for (const table of tables ?? []) this.#known.add(table)
  }
}

/**
 * Forgets everything after a write by a query that Drizzle has not built, `orm.execute(sql…)`, since
 * nothing says which tables it names.
 */
function preparing(prepareQuery: Session['prepareQuery'], database: Database) {
  return function (this: Session, ...args: unknown[]): unknown {
    // The last two arguments are the tables of the query and its cache options, if Drizzle has built it.
    const isBuilt = args.some((arg) => typeof arg === 'object' && arg !== null && 'tables' in arg)
    // Code that has wrapped it still calls it after dispose().
    if (isBuilt || database.isDisposed) return prepareQuery.apply(this, args)
    const { client } = this
    const cache = this.cache as GuardedCache
    const reporting: Session['client'] = {
      query: async (config, ...rest) => {
        const root = cache.root()
        const result = await client.query(config, ...rest)
        if (!readsOnly(textOf(config))) await database.reportWrite('all', root)
        return result
      },
    }
    return prepareQuery.apply(
      Object.create(this, { client: { value: reporting } }) as Session,
      args,
    )
  }
}

/** The names that a table may have in the cache: a layer may leave out its schema. To forget too much does no harm. */
function alike(table: unknown, known: ReadonlySet<string>): unknown[] {
  if (typeof table !== 'string') return [table]
  const bare = bareOf(table)
  return [table, bare, ...[...known].filter((other) => bareOf(other) === bare)]
}

function bareOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}

function textOf(config: unknown): string {
  return typeof config === 'string' ? config : ((config as { text?: string }).text ?? '')
}

function isNoop(cache: DrizzleCache): boolean {
  return cache.constructor.name === 'NoopCache'
}

function tablesOfSchema(orm: Internals): string[] {
  const schema = (orm._.fullSchema ?? orm._.schema ?? {}) as Record<string, unknown>
  return Object.values(schema).flatMap((table) => {
    const named = table as Record<symbol, string | undefined> | null
    const name = typeof named === 'object' ? named?.[TABLE_NAME] : undefined
    if (name === undefined) return []
    const within = named?.[TABLE_SCHEMA]
    return [within === undefined ? name : `${within}.${name}`]
  })
}
