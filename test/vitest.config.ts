import { defineConfig, type Plugin, type TestProjectInlineConfiguration } from 'vitest/config'
import { type Combination, combinations, isCrossed, newest } from './combinations.ts'

// The package is tested from its source. Given conditions replace the default ones.
const conditions = ['@shared-connection/source', 'module', 'node', 'development|production']

/** What needs no library, and so runs once. */
const PURE = ['core/**/*.test.ts', 'fuzz/**/*.test.ts', 'setup/clean-databases.test.ts']
const ELSEWHERE = [...PURE, 'pgbouncer/**', 'node_modules/**']
/**
 * The adapters never see each other, so the newest of one with the oldest of the other runs only what
 * proves that. Everything else runs where the newest meet, and where the oldest do.
 */
const ACROSS = [
  'behaviour/{basics,by-hand,context,controlled*,default-kysely,dispose,handles}.test.ts',
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
    // A hang is noticed after this time. It is long because a busy machine is no failure, and shorter
    // than the default `turnTimeout`, which would end some hangs.
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // Half of the time a test waits for the server, so one core is not left to it.
    maxWorkers: '100%',
    projects: [pure(), ...combinations.map(onLibraries), withoutRiding(), behindPgBouncer()],
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
      // A worker for all files: what a file leaves behind would show in the next one, and should.
      isolate: false,
      include: isCrossed(combination) ? ACROSS : ['**/*.test.ts'],
      exclude: ELSEWHERE,
      provide: { combination },
    },
  }
}

/**
 * What must hold whether control statements ride or not, once more without. Other files expect the
 * statements of a riding application, or run in both manners themselves.
 */
function withoutRiding(): TestProjectInlineConfiguration {
  return {
    ...onSource(librariesOf(newest)),
    test: {
      name: 'not-riding',
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
      provide: { combination: newest, rides: false },
    },
  }
}

/** The behaviours once more, with PgBouncer between the application and the server. */
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

/** Makes `kysely` and `drizzle-orm` one version each, for the tests and for the package alike. */
function librariesOf({ name, kysely, drizzle }: Combination): Plugin {
  return {
    // Vitest's cache of transformed modules tells projects apart by the names of their plugins.
    name: `libraries-${name}`,
    enforce: 'pre',
    resolveId(source, _importer, options) {
      const alias = source
        .replace(/^kysely(?=$|\/)/, kysely.alias)
        .replace(/^drizzle-orm(?=$|\/)/, drizzle.alias)
      // As seen from this package, the only one that has every version.
      return this.resolve(alias, import.meta.filename, { ...options, skipSelf: true })
    },
  }
}
