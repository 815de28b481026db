import { Kysely, PostgresDialect } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import { DrizzleLayer } from './drizzle-layer.ts'
import { drizzleVersions } from './drizzle-version.ts'
import { KyselyLayer } from './kysely-layer.ts'
import type { Layer } from './layer.ts'
import type { Tables } from './schema.ts'

/** Both layers on one client, as a program would put them there manually. */
export interface OneClient {
  readonly drizzle: Layer
  readonly kysely: Layer
  send(sql: string): Promise<unknown>
}

type Version = keyof typeof drizzleVersions

/** Puts both layers on each client of a pool once. */
export class ByHand {
  readonly #pool: Pool
  readonly #version: Version
  readonly #known = new WeakMap<PoolClient, OneClient>()

  constructor(pool: Pool, version: Version) {
    this.#pool = pool
    this.#version = version
  }

  /** Runs `fn` on a client in a transaction. */
  async transaction(fn: (on: OneClient) => Promise<unknown>): Promise<void> {
    const client = await this.#pool.connect()
    try {
      await client.query('begin')
      await fn(this.#on(client))
      await client.query('commit')
    } catch (error) {
      await client.query('rollback')
      throw error
    } finally {
      client.release()
    }
  }

  #on(client: PoolClient): OneClient {
    const known = this.#known.get(client)
    if (known !== undefined) return known
    const version = drizzleVersions[this.#version]
    const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: poolOf(client) }) })
    const on: OneClient = {
      drizzle: new DrizzleLayer('drizzle', version, version.open(client)),
      kysely: new KyselyLayer('kysely', kysely, 'manual'),
      send: (sql) => client.query(sql),
    }
    this.#known.set(client, on)
    return on
  }
}

/** A pool for Kysely that returns one client, which other code has checked out. */
function poolOf(client: PoolClient) {
  const borrowed = { query: client.query.bind(client), release: () => {} }
  return { connect: () => Promise.resolve(borrowed), end: () => Promise.resolve(), options: {} }
}
