// Lays out what an application has in node_modules after `npm install`: the package as it is
// published, and what it needs beside it. Nothing is fetched.

import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Combination } from '../combinations.ts'

const run = promisify(execFile)
const installed = join(import.meta.dirname, '..', 'node_modules')
const bridge = join(import.meta.dirname, '..', '..', 'packages', 'bridge')

/** Packs the package into an empty folder, and gives back where its content is. */
export async function pack(folder: string): Promise<string> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await run('pnpm', ['--dir', bridge, 'pack', '--out', join(folder, 'package.tgz')])
  await run('tar', ['-xzf', 'package.tgz'], { cwd: folder })
  return join(folder, 'package')
}

/** Makes an application with a combination of the libraries and what else it asks for. */
export async function makeApplication(
  folder: string,
  { kysely, drizzle }: Combination,
  packed: string,
  others: readonly string[] = [],
): Promise<void> {
  const modules = join(folder, 'node_modules')
  await mkdir(modules, { recursive: true })
  await cp(packed, join(modules, 'shared-connection'), { recursive: true })
  await copy('kysely', join(installed, kysely.alias), modules)
  // Its optional peers are not needed.
  await copy('drizzle-orm', join(installed, drizzle.alias), modules)
  for (const name of ['pg', '@types/pg', '@types/node', ...others]) {
    await copy(name, join(installed, name), modules)
  }
  await writeJson(join(folder, 'package.json'), { type: 'module' })
}

/** Copies a package and what it depends on, side by side as npm does. */
async function copy(name: string, from: string, modules: string): Promise<void> {
  const source = await realpath(from)
  const target = join(modules, name)
  await cp(source, target, {
    recursive: true,
    dereference: true,
    filter: (path) => !path.slice(source.length).includes('node_modules'),
  })
  const { dependencies = {} }: { dependencies?: Record<string, string> } = JSON.parse(
    await readFile(join(source, 'package.json'), 'utf8'),
  )
  const beside = name.startsWith('@') ? dirname(dirname(source)) : dirname(source)
  for (const dependency of Object.keys(dependencies)) {
    await copy(dependency, join(beside, dependency), modules)
  }
}

export function writeJson(path: string, value: unknown): Promise<void> {
  return writeFile(path, JSON.stringify(value))
}
