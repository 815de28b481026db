import { fileURLToPath } from 'node:url'

/** What a run of a suite needs beside the suite. */
export interface Manner {
  /** Loaded into each process of the suite, before all else. */
  readonly preload?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Where a suite expects its server, if that is written into it. */
export interface Address {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export interface Suite {
  /** Where it is run, in the checkout. */
  readonly folder: string
  readonly runner: 'mocha' | 'vitest'
  readonly files: readonly string[]
  readonly options?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly address?: Address
  readonly stock: Manner
  readonly bridged: Manner
}

const overLayers = { stock: {}, bridged: { preload: fileOf('layers.ts') } }
const betterAuth = { user: 'user', password: 'password', database: 'better_auth' }

const cursor = {
  folder: 'packages/pg-cursor',
  runner: 'mocha',
  files: ['test/*.js'],
} as const

/** Those of Drizzle that use node-postgres, in both majors. */
const drizzleFiles = [
  'tests/pg/node-postgres.test.ts',
  'tests/pg/pg-custom.test.ts',
  'tests/pg/pg.test.ts',
  'tests/relational/pg.test.ts',
]

export const suites: Readonly<Record<string, Suite>> = {
  kysely: {
    folder: '.',
    runner: 'mocha',
    files: ['test/node/dist/**/*.test.js'],
    options: ['--timeout', '15000'],
    env: { DIALECTS: 'postgres' },
    address: { port: 5434, user: 'kysely', password: 'kysely', database: 'kysely_test' },
    ...overLayers,
  },
  drizzle: {
    folder: 'integration-tests',
    runner: 'vitest',
    files: drizzleFiles,
    ...overLayers,
  },
  'better-auth-kysely': {
    folder: 'e2e/adapter/test/kysely-adapter',
    runner: 'vitest',
    files: ['adapter.kysely.pg.test.ts'],
    address: { port: 5433, ...betterAuth },
    ...overLayers,
  },
  'better-auth-drizzle': {
    folder: 'e2e/adapter/test/drizzle-adapter',
    runner: 'vitest',
    files: ['adapter.drizzle.pg.test.ts'],
    address: { port: 5432, ...betterAuth },
    ...overLayers,
  },
  'pg-pool': {
    folder: 'packages/pg-pool',
    runner: 'mocha',
    files: ['test/*.js'],
    // It ends the process at the first rejection that nobody handles, with all tests that follow.
    options: ['--ignore', 'test/setup.js', '--timeout', '10000'],
    stock: {},
    bridged: { preload: fileOf('pools.ts') },
  },
  'pg-cursor': { ...cursor, stock: {}, bridged: onLeasedClients('shared') },
  'pg-cursor-in-transaction': {
    ...cursor,
    stock: onLeasedClients('begun'),
    bridged: onLeasedClients('shared, begun'),
  },
}

/** Clients that are taken from a pool, `shared` or not, in a transaction that was `begun` or in none. */
function onLeasedClients(manner: string): Manner {
  return { preload: fileOf('clients.ts'), env: { PEERS_CLIENTS: manner } }
}

function fileOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}
