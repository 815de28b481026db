import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Client } from 'pg'

/** The environment that the figures depend on. */
export interface Environment {
  readonly node: string
  readonly postgres: string
  readonly synchronousCommit: string
  readonly pg: string
  readonly kysely: string
  readonly drizzle: string
  readonly drizzle1: string
  readonly platform: string
  readonly cpus: number
}

export async function environment(observer: Client): Promise<Environment> {
  return {
    node: process.versions.node,
    postgres: await setting(observer, 'server_version'),
    synchronousCommit: await setting(observer, 'synchronous_commit'),
    pg: await version('pg'),
    kysely: await version('kysely'),
    drizzle: await version('drizzle-orm'),
    drizzle1: await version('drizzle-orm-1'),
    platform: `${process.platform} ${process.arch}`,
    cpus: availableParallelism(),
  }
}

async function setting(observer: Client, name: string): Promise<string> {
  const { rows } = await observer.query<{ value: string }>('select current_setting($1) as value', [
    name,
  ])
  return rows[0]?.value ?? ''
}

async function version(library: string): Promise<string> {
  const file = new URL(`node_modules/${library}/package.json`, import.meta.url)
  return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version
}
