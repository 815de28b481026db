import { Cache, type MutationOption } from 'drizzle-orm/cache/core'
import { getTableName, is, Table } from 'drizzle-orm'

interface Entry {
  /** Results as text, as a cache outside the process would store them. */
  readonly rows: string
  readonly tables: readonly string[]
  readonly isTag: boolean
}

/** A Drizzle cache in memory, which records its calls. */
export class MemoryCache extends Cache {
  readonly #strategy: 'all' | 'explicit'
  readonly #entries = new Map<string, Entry>()
  /** `hit`, `miss`, `put` and `forget` with their tables, in order. */
  calls: string[] = []
  /** Runs in onMutate(), for tests in which that fails. */
  onForget: () => void | Promise<void> = () => {}

  constructor(strategy: 'all' | 'explicit' = 'all') {
    super()
    this.#strategy = strategy
  }

  override strategy(): 'all' | 'explicit' {
    return this.#strategy
  }

  /** The number of stored results. */
  get size(): number {
    return this.#entries.size
  }

  /** The tables that were invalidated since the last clear. */
  get forgotten(): string[] {
    return this.calls.filter((call) => call.startsWith('forget'))
  }

  clear(): void {
    this.#entries.clear()
    this.calls = []
  }

  override async get(key: string, tables: string[]): Promise<unknown[] | undefined> {
    const found = this.#entries.get(key)
    this.calls.push(`${found === undefined ? 'miss' : 'hit'} ${tables.join()}`)
    return found && (JSON.parse(found.rows) as unknown[])
  }

  override async put(key: string, rows: unknown, tables: string[], isTag: boolean): Promise<void> {
    this.calls.push(`put ${tables.join()}`)
    this.#entries.set(key, { rows: JSON.stringify(rows), tables, isTag })
  }

  override async onMutate({ tables, tags }: MutationOption): Promise<void> {
    const names = listOf(tables).map(nameOf)
    this.calls.push(`forget ${names.toSorted().join()}`)
    await this.onForget()
    for (const [key, entry] of this.#entries) {
      const isTagged = entry.isTag && listOf(tags).includes(key)
      if (isTagged || entry.tables.some((table) => names.includes(table))) this.#entries.delete(key)
    }
  }
}

function listOf<T>(value: T | T[] | undefined): T[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

function nameOf(table: string | Table): string {
  return is(table, Table) ? getTableName(table) : table
}
