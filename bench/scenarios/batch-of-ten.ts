import type { SharedConnection } from 'shared-connection'
import { drizzleVersions } from '../layers/drizzle-version.ts'
import { LAYERS, type Together } from '../layers/field.ts'
import type { Layer } from '../layers/layer.ts'
import type { Tables } from '../layers/schema.ts'
import { type Scenario, variant } from '../scenario.ts'

const TEXTS = Array.from({ length: 10 }, (_, at) => `note ${at}`)
const VERSIONS = ['0.45', '1.0'] as const

type Version = (typeof VERSIONS)[number]
type Batch = (queries: readonly unknown[]) => Promise<unknown>

/** Looked up by name, since the bridge of another checkout may not have it. */
function batchOf(shared: SharedConnection): Batch | undefined {
  return Reflect.get(shared, 'batch') as Batch | undefined
}

const nameOf = (version: Version): string => `batch, drizzle ${version} + bridge`

async function addOneByOne(layer: Layer): Promise<void> {
  for (const text of TEXTS) await layer.add(text)
}

export const batchOfTen: Scenario = {
  name: 'batch',
  title: '`shared.batch` of ten inserts, by both layers',
  adds: TEXTS.length,
  variants(field) {
    const stock = LAYERS.map((name) => field.stock[name])
    const batches = VERSIONS.flatMap((version) => {
      const together = field.together[version]
      const batch = batchOf(together.shared)
      if (batch === undefined) return []
      return [variant(nameOf(version), () => batch(queries(together, version)))]
    })
    if (batches.length === 0) return 'the bridge has no `batch` yet'
    return [
      ...stock.map((layer) => variant(layer.name, () => layer.transaction(addOneByOne))),
      ...batches,
    ]
  },
  comparisons: VERSIONS.flatMap((version) =>
    ['pg', 'kysely', `drizzle ${version}`].map((to) => ({
      of: nameOf(version),
      to,
      limit: '1/12',
      goals: { '2 ms': { wall: 0.12 } },
    })),
  ),
}

/** Alternates between Drizzle and Kysely. */
function queries({ orm, shared }: Together, version: Version): readonly unknown[] {
  const { notes } = drizzleVersions[version]
  const db = shared.kysely<Tables>()
  return TEXTS.map((text, at) =>
    at % 2 === 0 ? orm.insert(notes).values({ text }) : db.insertInto('note').values({ text }),
  )
}
