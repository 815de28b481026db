import { afterAll, beforeAll, inject } from 'vitest'
import { closeSessions } from '../pgbouncer/close-sessions.ts'
import { openSessions } from '../pgbouncer/open-sessions.ts'
import { type CleanDatabase, returnDatabase, takeDatabase } from './clean-databases.ts'

export interface Database {
  readonly url: string
  /** The URL for the application, which is that of PgBouncer in the project `pgbouncer`. */
  readonly urlForApps: string
}

/** Makes a database for the calling test file, from before its first test until after its last one. */
export function useDatabase(): Database {
  let database: CleanDatabase | undefined
  const isBehindPgBouncer = inject('pgBouncer') === 'running'
  beforeAll(async () => {
    database = await takeDatabase(inject('serverUrl'), inject('databasePrefix'))
    if (isBehindPgBouncer) await openSessions(urlForApps())
  })
  afterAll(async () => {
    if (isBehindPgBouncer && database) await closeSessions(urlForApps())
    if (database) returnDatabase(database)
  })

  const url = (): string => {
    if (!database) throw new Error('the database is there only while tests and hooks run')
    return database.url
  }
  const urlForApps = (): string => {
    const there = new URL(inject('serverUrlForApps'))
    there.pathname = new URL(url()).pathname
    return there.href
  }
  return {
    get url() {
      return url()
    },
    get urlForApps() {
      return urlForApps()
    },
  }
}
