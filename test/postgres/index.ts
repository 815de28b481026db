export { dropDatabases, freshDatabase, type FreshDatabase } from './fresh-database.ts'
export { startPostgres, type Postgres, type StartOptions } from './start-postgres.ts'
