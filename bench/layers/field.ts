import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { type SharedConnection, shareConnection } from 'shared-connection'
import type { Share } from '../bridge-at.ts'
import { DrizzleLayer } from './drizzle-layer.ts'
import { drizzleVersions, type Orm } from './drizzle-version.ts'
import { HandWritten } from './hand-written.ts'
import { KyselyLayer } from './kysely-layer.ts'
import type { Layer } from './layer.ts'
import type { Tables } from './schema.ts'
import { ThroughShared } from './through-shared.ts'

/** The maximum number of clients of a pool. */
export interface PoolSizes {
  readonly stock: number
  readonly shared: number
}

/** The layers that are compared. */
export type LayerName = 'pg' | 'kysely' | 'drizzle 0.45' | 'drizzle 1.0'

type Layers = { readonly [L in LayerName]: Layer }

export const LAYERS: readonly LayerName[] = ['pg', 'kysely', 'drizzle 0.45', 'drizzle 1.0']

/** Returns the name of a layer on the bridge. */
export function bridged<L extends LayerName>(name: L): `${L} + bridge` {
  return `${name} + bridge`
}

/** A shared connection, with one of the major versions of Drizzle. */
export interface Together {
  readonly drizzle: Layer
  readonly kysely: Layer
  readonly shared: SharedConnection<Orm>
  /** Drizzle itself. */
  readonly orm: Orm
}

/** All participants, connected to one URL. Each stock layer has its own pool. */
export interface Field {
  /** The stock layers. */
  readonly stock: Layers
  /** The layers on the bridge. */
  readonly shared: Layers
  readonly together: { readonly '0.45': Together; readonly '1.0': Together }
  /** A pool without a layer. */
  readonly pool: Pool
  /** The layers on the bridge of another checkout. */
  readonly before?: Field
  close(): Promise<void>
}

/** Opens all participants, also on the bridge of another checkout, if one is given. */
export function openField(url: string, sizes: PoolSizes, shareBefore?: Share): Field {
  const field = openFieldOn(shareConnection, url, sizes)
  if (shareBefore === undefined) return field
  const before = openFieldOn(shareBefore, url, sizes)
  return {
    ...field,
    before,
    async close() {
      await Promise.all([field.close(), before.close()])
    },
  }
}

function openFieldOn(share: Share, url: string, sizes: PoolSizes): Field {
  const pools: Pool[] = []
  const openPool = (max: number): Pool => {
    const pool = new Pool({ connectionString: url, max, idleTimeoutMillis: 0 })
    pools.push(pool)
    return pool
  }
  const stockDrizzle = (version: keyof typeof drizzleVersions): Layer => {
    const drizzle = drizzleVersions[version]
    const orm = drizzle.open(openPool(sizes.stock))
    return new DrizzleLayer(`drizzle ${version}`, drizzle, orm)
  }
  const open = (version: keyof typeof drizzleVersions): Together & { readonly pg: Layer } => {
    const pool = openPool(sizes.shared)
    const drizzle = drizzleVersions[version]
    const orm = drizzle.open(pool)
    const shared = share(orm)
    return {
      shared,
      orm,
      pg: new ThroughShared(bridged('pg'), pool, shared),
      kysely: new KyselyLayer(bridged('kysely'), shared.kysely<Tables>(), 'savepoint'),
      drizzle: new DrizzleLayer(bridged(`drizzle ${version}`), drizzle, orm),
    }
  }

  const together = { '0.45': open('0.45'), '1.0': open('1.0') }
  // Each has its own pool, as the stock layers do. The scheduler puts a busier server process on another
  // core, which changed the time of a participant with a shared pool by up to a fifth.
  const pgAlone = open('0.45').pg
  const kyselyAlone = open('0.45').kysely
  const pool = openPool(sizes.stock)
  const kysely = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: openPool(sizes.stock) }),
  })
  return {
    stock: {
      pg: new HandWritten('pg', pool),
      kysely: new KyselyLayer('kysely', kysely, 'manual'),
      'drizzle 0.45': stockDrizzle('0.45'),
      'drizzle 1.0': stockDrizzle('1.0'),
    },
    shared: {
      pg: pgAlone,
      kysely: kyselyAlone,
      'drizzle 0.45': together['0.45'].drizzle,
      'drizzle 1.0': together['1.0'].drizzle,
    },
    together,
    pool,
    async close() {
      await Promise.all(pools.map((each) => each.end()))
    },
  }
}
