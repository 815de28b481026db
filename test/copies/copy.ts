import { createRequire } from 'node:module'
import { compileFunction } from 'node:vm'
import type { drizzle } from 'drizzle-orm/node-postgres'
import { build, type Plugin } from 'esbuild'
import type * as kysely from 'kysely'
import { Kysely } from 'kysely'
import type { Pool } from 'pg'
import type * as bridge from 'shared-connection'
import { afterAll, inject } from 'vitest'
import type { Schema } from '../setup/schema.ts'

/** What one evaluation of a bundle gives. */
export interface Copy {
  readonly bridge: typeof bridge
  readonly kysely: typeof kysely
  readonly drizzle: typeof drizzle
}

/** `own`: each copy has a Kysely and a Drizzle of its own. `common`: all have the same. */
export type Libraries = 'own' | 'common'

const PROGRAM = `
  import 'shared-connection/register'
  export * as bridge from 'shared-connection'
  export * as kysely from 'kysely'
  export { drizzle } from 'drizzle-orm/node-postgres'
`
const require = createRequire(import.meta.url)

/**
 * Gives Kysely back the `extension()` of the package that is tested: each copy which has the same Kysely puts
 * its own in place. To be called at the top of a test file.
 */
export function keepExtension(): void {
  const { prototype } = Kysely
  const before = Object.getOwnPropertyDescriptor(prototype, 'extension')
  afterAll(() => {
    if (before !== undefined) Object.defineProperty(prototype, 'extension', before)
  })
}

/**
 * Bundles the package as an application does. Each call of the function that it returns evaluates the
 * bundle once more, as each chunk of a bundle or each reload of a development server does.
 */
export async function bundle(libraries: Libraries, version?: string): Promise<() => Copy> {
  const combination = inject('combination')
  const layers = [combination.kysely.alias, combination.drizzle.alias] as const
  const { outputFiles } = await build({
    stdin: { contents: PROGRAM, resolveDir: import.meta.dirname },
    absWorkingDir: import.meta.dirname,
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    conditions: ['@shared-connection/source'],
    alias: { kysely: layers[0], 'drizzle-orm': layers[1] },
    external: ['pg', ...(libraries === 'common' ? layers : [])],
    plugins: version === undefined ? [] : [ofVersion(version)],
  })
  const evaluate = compileFunction(outputFiles[0]?.text ?? '', ['module', 'require'])
  return () => {
    const module = { exports: {} as Copy }
    evaluate(module, require)
    return module.exports
  }
}

/** Gives the bundled package another version than the one that is tested. */
function ofVersion(version: string): Plugin {
  return {
    name: 'of-version',
    setup: (bundler) => {
      bundler.onLoad({ filter: /[/\\]src[/\\]version\.ts$/ }, () => ({
        contents: `export const VERSION = ${JSON.stringify(version)}`,
      }))
    },
  }
}

const orms = (copy: Copy, pool: Pool) => copy.drizzle({ client: pool })
export type Orm = ReturnType<typeof orms>

/** The layers of one copy on a pool. */
export function useCopy(copy: Copy, pool: Pool, orm: Orm = orms(copy, pool)) {
  const shared = copy.bridge.shareConnection(orm)
  const dialect = new copy.kysely.PostgresDialect({ pool, cursor: require('pg-cursor') })
  const db = new copy.kysely.Kysely<Schema>({ dialect }).extension('shared-connection', {
    drizzle: orm,
  })
  return { ...copy, orm, shared, db }
}

export type World = ReturnType<typeof useCopy>
