import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import type { BatchItem } from 'shared-connection'
import type { Share } from '../bridge-at.ts'
import { DrizzleLayer } from '../layers/drizzle-layer.ts'
import { drizzleVersions } from '../layers/drizzle-version.ts'
import { HandWritten } from '../layers/hand-written.ts'
import { KyselyLayer } from '../layers/kysely-layer.ts'
import type { Layer } from '../layers/layer.ts'
import type { Tables } from '../layers/schema.ts'
import { ThroughShared } from '../layers/through-shared.ts'
import { AnsweringStream } from './answering-stream.ts'

export const WAYS = [
  'pg',
  'kysely',
  'kysely by extension()',
  'drizzle 0.45',
  'drizzle 1.0',
] as const

/** A layer, and the way it is put onto the bridge. */
export type Way = (typeof WAYS)[number]

/** A layer that uses the server inside the process. */
export interface Participant {
  readonly layer: Layer
  /** Adds these notes in one transaction; with the bridge, as a batch. */
  addAll(texts: readonly string[]): Promise<unknown>
}

/** Makes the layer on its own pool, without the bridge. */
export function stock(way: Way): Participant {
  const layer = stockLayer(way, openPool())
  const addAll = (texts: readonly string[]): Promise<unknown> =>
    layer.transaction(async (inside) => {
      for (const text of texts) await inside.add(text)
    })
  return { layer, addAll }
}

function stockLayer(way: Way, pool: Pool): Layer {
  if (way === 'pg') return new HandWritten(way, pool)
  if (way === 'kysely' || way === 'kysely by extension()') {
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    return new KyselyLayer(way, db, 'manual')
  }
  const version = drizzleVersions[way === 'drizzle 1.0' ? '1.0' : '0.45']
  return new DrizzleLayer(way, version, version.open(pool))
}

/** Makes the layer on the bridge. */
export function bridgedBy(share: Share, way: Way): Participant {
  const pool = openPool()
  const version = drizzleVersions[way === 'drizzle 1.0' ? '1.0' : '0.45']
  const orm = version.open(pool)
  const shared = share(orm)
  const onBridge = (layer: Layer, insert: (text: string) => BatchItem): Participant => ({
    layer,
    addAll: (texts) => shared.batch(texts.map(insert)),
  })
  if (way === 'pg') {
    const layer = new ThroughShared(way, pool, shared)
    return onBridge(layer, (text) => ({ execute: () => layer.add(text) }))
  }
  if (way === 'kysely' || way === 'kysely by extension()') {
    const db =
      way === 'kysely'
        ? shared.kysely<Tables>()
        : new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) }).extension(
            'shared-connection',
            { drizzle: orm },
          )
    return onBridge(new KyselyLayer(way, db, 'savepoint'), (text) =>
      db.insertInto('note').values({ text }),
    )
  }
  const layer = new DrizzleLayer(way, version, orm)
  return onBridge(layer, (text) => orm.insert(version.notes).values({ text }))
}

function openPool(): Pool {
  return new Pool({ stream: () => new AnsweringStream(), max: 1, idleTimeoutMillis: 0 })
}
