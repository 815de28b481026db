import { randomBytes } from 'node:crypto'
import type { TestProject } from 'vitest/node'
import type { Combination } from '../combinations.ts'
import { describeImpossible } from '../pgbouncer/impossible.ts'
import { type Missing, startPgBouncer } from '../pgbouncer/start-pgbouncer.ts'
import type { Kept } from '../postgres/fork-keeper.ts'
import { dropDatabases, startPostgres } from '../postgres/index.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly serverUrl: string
    /** The prefix of the names of this run's databases. */
    readonly databasePrefix: string
    /** The URL of the server for applications. */
    readonly serverUrlForApps: string
    /** The versions of the libraries in the running project. */
    readonly combination: Combination
    /** False if applications must send control commands at once. */
    readonly defers?: false
    /** Whether PgBouncer runs for this project, or the reason why it does not. */
    readonly pgBouncer: 'none' | 'running' | Missing
  }
}

// The whole run has one of each, whatever the number of projects.
let server: Kept | undefined
let bouncer: Kept | undefined
const databasePrefix = `shared_connection_${randomBytes(4).toString('hex')}_`

export async function setup(root: TestProject): Promise<void> {
  server = await startPostgres({ onProgress: (message) => console.log(message) })
  root.provide('serverUrl', server.url)
  root.provide('serverUrlForApps', server.url)
  root.provide('databasePrefix', databasePrefix)
  root.provide('pgBouncer', 'none')

  const behind = root.vitest.projects.find(({ name }) => name === 'pgbouncer')
  if (behind) await setupPgBouncer(behind, server.url)
}

async function setupPgBouncer(project: TestProject, serverUrl: string): Promise<void> {
  const started = await startPgBouncer(serverUrl)
  if ('missing' in started) {
    console.warn(`\n${started.missing}: every test of the project \`pgbouncer\` is skipped\n`)
    project.provide('pgBouncer', started)
    return
  }
  bouncer = started
  console.log(describeImpossible())
  project.provide('serverUrlForApps', bouncer.url)
  project.provide('pgBouncer', 'running')
}

export async function teardown(): Promise<void> {
  await bouncer?.stop()
  if (server) await dropDatabases(server.url, databasePrefix)
  await server?.stop()
}
