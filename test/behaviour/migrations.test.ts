import { migrate } from 'drizzle-orm/node-postgres/migrator'
import type { Migration, MigrationResultSet } from 'kysely/migration'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { loadMigrator, withMigration } from '../setup/migrations.ts'

const app = useApp()

const migrations: Record<string, Migration> = {
  first: {
    async up(db) {
      await db.schema.createTable('made').addColumn('id', 'integer').execute()
    },
  },
}

async function migrateKysely(): Promise<MigrationResultSet> {
  const Migrator = await loadMigrator()
  const provider = { getMigrations: () => Promise.resolve(migrations) }
  return new Migrator({ db: app.db, provider }).migrateToLatest()
}

const tables = async (like: string): Promise<string[]> => {
  const { rows } = await app.observer.query<{ relname: string }>(
    `select relname from pg_class where relkind = 'r' and relname like $1 order by 1`,
    [like],
  )
  return rows.map(({ relname }) => relname)
}

const control = () =>
  app.transcript
    .events()
    .filter(({ control: kind }) => kind !== undefined)
    .map(({ sql }) => sql)

test("Kysely's migrations inside a Drizzle transaction are taken back with it", async () => {
  const failing = app.orm.transaction(async () => {
    const { error, results } = await migrateKysely()
    expect(error).toBeUndefined()
    expect(results?.map(({ status }) => status)).toEqual(['Success'])
    expect((await app.db.introspection.getTables()).map(({ name }) => name)).toContain('made')
    throw new Error('boom')
  })
  await expect(failing).rejects.toThrow('boom')
  expect(await tables('made')).toEqual([])
  expect(control().slice(0, 2)).toEqual(['begin', 'savepoint sp1'])
  expect(control().at(-1)).toBe('rollback')
  expect(control()).not.toContain('commit')
  expect(new Set(app.transcript.events().map(({ transaction }) => transaction)).size).toBe(1)
})

test("Drizzle's migrations inside a Kysely transaction are taken back with it", async () => {
  await withMigration('create table made_too (id int)', async (migrationsFolder) => {
    const failing = app.db.transaction().execute(async () => {
      await migrate(app.orm, { migrationsFolder })
      expect((await app.db.introspection.getTables()).map(({ name }) => name)).toContain('made_too')
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
  })
  expect(await tables('made%')).toEqual([])
  expect(control().slice(0, 2)).toEqual(['begin', 'savepoint sp1'])
  expect(control().at(-1)).toBe('rollback')
  expect(control()).not.toContain('commit')
})

test('both also migrate outside transactions, each in one transaction', async () => {
  await migrateKysely()
  await withMigration('create table made_too (id int)', (migrationsFolder) =>
    migrate(app.orm, { migrationsFolder }),
  )
  expect(await tables('made%')).toEqual(['made', 'made_too'])
  expect(control()).toEqual(['begin', 'commit', 'begin', 'commit'])
  expect((await migrateKysely()).results).toEqual([])
})
