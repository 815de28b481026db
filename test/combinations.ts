/** A version of a library, and its name in this package's dependencies. */
interface Library {
  readonly version: string
  readonly alias: string
}

/** One version of each library. */
export interface Combination {
  readonly name: string
  readonly kysely: Library
  readonly drizzle: Library
}

const newestKysely: Library = { version: '0.29', alias: 'kysely' }
const kyselys: readonly Library[] = [newestKysely, { version: '0.28', alias: 'kysely-0.28' }]

const newestDrizzle: Library = { version: '1.0', alias: 'drizzle-orm-1' }
const drizzles: readonly Library[] = [{ version: '0.45', alias: 'drizzle-orm' }, newestDrizzle]

/** The pairs of versions on which tests run and types are checked. */
export const combinations: readonly Combination[] = kyselys.flatMap((kysely) =>
  drizzles.map((drizzle) => combine(kysely, drizzle)),
)

export const newest: Combination = combine(newestKysely, newestDrizzle)

/** Whether it pairs the newest version of one library with an older one of the other. */
export function isCrossed({ kysely, drizzle }: Combination): boolean {
  return (kysely === newestKysely) !== (drizzle === newestDrizzle)
}

function combine(kysely: Library, drizzle: Library): Combination {
  return { name: `kysely-${kysely.version}+drizzle-${drizzle.version}`, kysely, drizzle }
}
