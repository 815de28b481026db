import * as library from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import { notes } from './app.ts'

/** The additional exports of version 1.0. */
interface WithRelations {
  readonly defineRelations?: (schema: object) => object
}

/** A Drizzle database with relational queries, which need relations in version 1.0, and the schema in 0.45. */
export function relationalOrm(client: Pool) {
  const schema = { notes }
  const relations = (library as WithRelations).defineRelations?.(schema)
  return drizzle({ client, schema, relations } as { client: Pool; schema: typeof schema })
}
