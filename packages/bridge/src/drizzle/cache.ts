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

/** The user's cache, kept from what a transaction has not committed. */
interface GuardedCache extends DrizzleCache {
  /** The transaction that a query through it belongs to. */
  root(): Frame | undefined
  forLease(lease: Lease): GuardedCache
}

/**
 * The cache for the session of a handle, which may be used where its transaction is not the ambient
 * one; nothing where Drizzle was given no cache.
 */
export function cacheForLease(session: Session, lease: Lease): DrizzleCache | undefined {
  return (session.cache as Partial<GuardedCache> | undefined)?.forLease?.(lease)
}

/**
 * Keeps Drizzle's query cache true: inside a transaction it is neither asked nor filled, since
 * what is read there may never be committed; after COMMIT it forgets all that both layers wrote.
 */
export function adoptCache(orm: Internals, session: Session, database: Database): () => void {
  if (session.cache === undefined || isNoop(session.cache)) return () => {}
  const cache: DrizzleCache = session.cache
  const known = new Set(tablesOfSchema(orm))
  const pending = objectSlot<Set<unknown>>()

  /** Forgets at once, or after the commit of the transaction around. */
  async function forget(written: readonly unknown[], root: Frame | undefined): Promise<void> {
    const tables = written.flatMap((table) => alike(table, known))
    if (root === undefined) return cache.onMutate({ tables: [...new Set(tables)] })
    const noted = pending.get(root)
    if (noted !== undefined) return tables.forEach((table) => noted.add(table))
    const names = new Set<unknown>(tables)
    pending.set(root, names)
    root.hooks.addFirst({
      kind: 'after-commit',
      run: () => cache.onMutate({ tables: [...names] }),
    })
  }

  /** The cache as a handle sees it, or the code that calls. */
  function guard(lease?: Lease): GuardedCache {
    const root = (): Frame | undefined => database.frameOf(lease, currentScope())?.root
    const own: GuardedCache = {
      // the user's class may keep its parts in private fields, which only its own object has
      strategy: () => cache.strategy(),
      root,
      forLease: guard,
      get: async (...args) => {
        note(known, args[1])
        return root() === undefined ? cache.get(...args) : undefined
      },
      put: async (...args) => {
        note(known, args[2])
        if (root() === undefined) await cache.put(...args)
      },
      onMutate: async (mutation) => {
        const around = root()
        const { tables } = mutation
        if (around === undefined || tables === undefined) return cache.onMutate(mutation)
        return forget(Array.isArray(tables) ? tables : [tables], around)
      },
    }
    return Object.assign(Object.create(cache) as GuardedCache, own)
  }

  const before = database.onWrite
  database.onWrite = async (tables, root) => {
    await before?.(tables, root)
    // there is no way to say "everything" to a Drizzle cache but by name
    await forget(tables === 'all' ? [...known] : tables, root)
  }
  const restore = replace(session, {
    cache: guard(),
    prepareQuery: preparing(session.prepareQuery, database),
  })
  return () => {
    restore()
    database.onWrite = before
  }
}

/**
 * A query that Drizzle has not built, `orm.execute(sql…)`, tells nothing of its tables: when it
 * writes, everything is forgotten.
 */
function preparing(prepareQuery: Session['prepareQuery'], database: Database) {
  return function (this: Session, ...args: unknown[]): unknown {
    // the last two arguments are what Drizzle knows of the query, and its cache options
    const isBuilt = args.some((arg) => typeof arg === 'object' && arg !== null && 'tables' in arg)
    // after dispose() it is called by what has wrapped it
    if (isBuilt || database.isDisposed) return prepareQuery.apply(this, args)
    const { client } = this
    const cache = this.cache as GuardedCache
    const telling: Session['client'] = {
      query: async (config, ...rest) => {
        const root = cache.root()
        const result = await client.query(config, ...rest)
        if (!readsOnly(textOf(config))) await database.reportWrite('all', root)
        return result
      },
    }
    return prepareQuery.apply(Object.create(this, { client: { value: telling } }) as Session, args)
  }
}

/** The layers may name one table with its schema or without: to forget too much is no harm. */
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

function note(known: Set<string>, tables: readonly string[] | undefined): void {
  for (const table of tables ?? []) known.add(table)
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
