import type { TestProject } from 'vitest/node'
import type { Combination } from '../combinations.ts'
import { type Postgres, startPostgres } from '../postgres/index.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly serverUrl: string
    /** The versions of the libraries that the running project is for. */
    readonly combination: Combination
  }
}

// One server for the whole run, whatever the number of projects.
let server: Postgres | undefined

export async function setup(project: TestProject): Promise<void> {
  server = await startPostgres({ onProgress: (message) => console.log(message) })
  project.provide('serverUrl', server.url)
}

export async function teardown(): Promise<void> {
  await server?.stop()
}
