import { defineConfig, type Plugin, type TestProjectInlineConfiguration } from 'vitest/config'
import { type Combination, combinations, isCrossed, newest } from './combinations.ts'

// The package is tested from its source. Given conditions replace the default ones.
const conditions = ['@shared-connection/source', 'module', 'node', 'development|production']

/** Files that need no library, so they run only once. */
const PURE = ['core/**/*.test.ts', 'fuzz/**/*.test.ts', 'setup/clean-databases.test.ts']
const ELSEWHERE = [...PURE, 'pgbouncer/**', 'packed/**', '**/node_modules/**']
/**
 * The adapters do not import each other, so the crossed pairs of versions run only the files that prove
 * their independence. All files run on the newest and on the oldest pair.
 */
const ACROSS = [
  'behaviour/{basics,manual-control,context,controlled*,default-kysely,dispose,handles}.test.ts',
  'behaviour/{migrations,nesting*,options*,outcome,reuse,rollback,state,stream}.test.ts',
  'behaviour/{types-parsers,with-client}.test.ts',
  'cache/{handles,transactions,writes}.test.ts',
  'hooks/{before-commit,controlled,handles,nesting,order,outcomes}.test.ts',
  'log/{own-logs,query-events}.test.ts',
  'setup/{combination,database}.test.ts',
]

const report = process.env['TEST_REPORT']

export default defineConfig({
  test: {
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    globalSetup: 'setup/global.ts',
    // A hang is noticed after this time. It is long, since a busy machine must not make a test fail, and
    // shorter than the default `turnTimeout`, which would end some hangs.
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // A test waits for the server half of the time, so no core is reserved for the server.
    maxWorkers: '100%',
    projects: [pure(), ...combinations.map(onLibraries), withoutDeferring(), behindPgBouncer()],
  },
})

function pure(): TestProjectInlineConfiguration {
  return {
    ...onSource(),
    test: { name: 'core', include: PURE },
  }
}

function onLibraries(combination: Combination): TestProjectInlineConfiguration {
  return {
    ...onSource(librariesOf(combination)),
    test: {
      name: combination.name,
      // One worker runs all files, so that anything that a file leaves behind shows in the next one.
      isolate: false,
      include: isCrossed(combination) ? ACROSS : ['**/*.test.ts'],
      exclude: ELSEWHERE,
      provide: { combination },
    },
  }
}

/**
 * Runs files that must pass with and without deferred control commands, here without. Other files expect
 * the statements of an application that defers, or run in both manners themselves.
 */
function withoutDeferring(): TestProjectInlineConfiguration {
  return {
    ...onSource(librariesOf(newest)),
    test: {
      name: 'not-deferred',
      isolate: false,
      include: [
        'faults/**/*.test.ts',
        'cancellation/retry-and-timeout.test.ts',
        'concurrency/{early-rejection,flows,sibling-trees,siblings}.test.ts',
        'concurrency/{waits,waits-for-the-pool}.test.ts',
        'control/{procedures,stale-status}.test.ts',
        'foreign-code/{dataloader,emitters}.test.ts',
      ],
      exclude: [
        'faults/{conflicts,manners,rollback,stalled,statements}.test.ts',
        'node_modules/**',
      ],
      provide: { combination: newest, defers: false },
    },
  }
}

/** Runs the behaviours with PgBouncer between the application and the server. */
function behindPgBouncer(): TestProjectInlineConfiguration {
  return {
    ...onSource(librariesOf(newest)),
    test: {
      name: 'pgbouncer',
      isolate: false,
      include: ['behaviour/**/*.test.ts', 'pgbouncer/**/*.test.ts'],
      setupFiles: 'pgbouncer/skip-impossible.ts',
      provide: { combination: newest },
    },
  }
}

function onSource(...plugins: Plugin[]): TestProjectInlineConfiguration {
  return { extends: true, plugins, ssr: { resolve: { conditions } } }
}

/** Resolves `kysely` and `drizzle-orm` to one version each, for the tests and for the package. */
function librariesOf({ name, kysely, drizzle }: Combination): Plugin {
  return {
    // Vitest's cache of transformed modules distinguishes projects by the names of their plugins.
    name: `libraries-${name}`,
    enforce: 'pre',
    resolveId(source, _importer, options) {
      const alias = source
        .replace(/^kysely(?=$|\/)/, kysely.alias)
        .replace(/^drizzle-orm(?=$|\/)/, drizzle.alias)
      // Resolved from this package, since only it has every version.
      return this.resolve(alias, import.meta.filename, { ...options, skipSelf: true })
    },
  }
}
