import * as library from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import { notes } from './app.ts'

/** What version 1.0 has more. */
interface WithRelations {
  readonly defineRelations?: (schema: object) => object
}

/** A Drizzle database with relational queries: version 1.0 takes relations for it, 0.45 the schema. */
export function relationalOrm(client: Pool) {
  const schema = { notes }
  const relations = (library as WithRelations).defineRelations?.(schema)
  return drizzle({ client, schema, relations } as { client: Pool; schema: typeof schema })
}
