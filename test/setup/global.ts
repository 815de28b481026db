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
    /** The beginning of the names of the databases of this run. */
    readonly databasePrefix: string
    /** The server as applications reach it. */
    readonly serverUrlForApps: string
    /** The versions of the libraries that the running project is for. */
    readonly combination: Combination
    /** False where applications are to send control statements on their own. */
    readonly defers?: false
    /** Whether the running project is the one behind PgBouncer, and if there is none, why. */
    readonly pgBouncer: 'none' | 'running' | Missing
  }
}

// One of each for the whole run, whatever the number of projects.
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
