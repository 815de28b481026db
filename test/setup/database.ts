import { afterAll, beforeAll, inject } from 'vitest'
import { freshDatabase, type FreshDatabase } from '../postgres/index.ts'

/** Gives the calling test file a database of its own, from before its first test to after its last. */
export function useDatabase(): { readonly url: string } {
  let database: FreshDatabase | undefined
  beforeAll(async () => {
    database = await freshDatabase(inject('serverUrl'))
  })
  afterAll(() => database?.drop())

  return {
    get url() {
      if (!database) throw new Error('the database is there only while tests and hooks run')
      return database.url
    },
  }
}
