import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Migrator } from 'kysely/migration'
import { inject } from 'vitest'

/** Runs `fn` with a folder of one migration, in the layout of this version of Drizzle. */
export async function withMigration(
  sql: string,
  fn: (migrationsFolder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'))
  try {
    await write(folder, sql)
    await fn(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function write(folder: string, sql: string): Promise<void> {
  if (inject('combination').drizzle.version === '1.0') {
    const migration = join(folder, '20260101000000_first')
    await mkdir(migration)
    await writeFile(join(migration, 'migration.sql'), sql)
    return
  }
  await mkdir(join(folder, 'meta'))
  await writeFile(join(folder, '0000_first.sql'), sql)
  await writeFile(
    join(folder, 'meta', '_journal.json'),
    JSON.stringify({
      version: '7',
      dialect: 'postgresql',
      entries: [{ idx: 0, version: '7', when: 1, tag: '0000_first', breakpoints: true }],
    }),
  )
}

/** Kysely's class of migrators, which version 0.29 exports from another module. */
export async function loadMigrator(): Promise<typeof Migrator> {
  const { version } = inject('combination').kysely
  // In a variable, since TypeScript would not find the module in version 0.28.
  const entry = version === '0.29' ? 'kysely/migration' : 'kysely'
  const library: unknown = await import(entry)
  return (library as { Migrator: typeof Migrator }).Migrator
}
