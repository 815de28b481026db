// Compiles the type tests of this folder against the package as it is published, once for each
// combination of the libraries: in a folder whose node_modules is what an application would have.
// Run by `pnpm check:types`, which puts `tsc` and `pnpm` on the path.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { type Combination, combinations } from '../combinations.ts'

const run = promisify(execFile)
const types = import.meta.dirname
const installed = join(types, '..', 'node_modules')
const applications = join(types, '.applications')
const published = 'node_modules/shared-connection'

await rm(applications, { recursive: true, force: true })
await mkdir(applications)
await packInto(applications)
const failures = (await Promise.all(combinations.map(check))).filter((ok) => !ok)
process.exitCode = failures.length === 0 ? 0 : 1

/** Leaves the published package in the folder `package`. */
async function packInto(folder: string): Promise<void> {
  const bridge = join(types, '..', '..', 'packages', 'bridge')
  await run('pnpm', ['--dir', bridge, 'pack', '--out', join(folder, 'package.tgz')])
  await run('tar', ['-xzf', 'package.tgz'], { cwd: folder })
}

async function check(combination: Combination): Promise<boolean> {
  const application = join(applications, combination.name)
  await furnish(application, combination)
  const complaints = [
    ...(await complaintsAbout(application, 'tsconfig.json')),
    // Of the declarations only the package's own: those of drizzle-orm do not compile.
    ...(await complaintsAbout(application, 'published.json')).filter((line) =>
      line.startsWith(published),
    ),
  ]
  console.log(`${complaints.length === 0 ? 'ok    ' : 'failed'}  ${combination.name}`)
  for (const line of complaints) console.log(line)
  return complaints.length === 0
}

async function complaintsAbout(application: string, project: string): Promise<string[]> {
  const tsc = spawn('tsc', ['-p', project, '--pretty', 'false'], { cwd: application })
  const [lines, [code]] = await Promise.all([text(tsc.stdout), once(tsc, 'close')])
  return code === 0 ? [] : lines.trim().split('\n')
}

/** Installs the combination and lays out the type tests beside it. */
async function furnish(application: string, { kysely, drizzle }: Combination): Promise<void> {
  const modules = join(application, 'node_modules')
  await mkdir(modules, { recursive: true })
  for (const name of await readdir(installed)) {
    if (!name.startsWith('.') && !['kysely', 'drizzle-orm', 'shared-connection'].includes(name)) {
      await symlink(join(installed, name), join(modules, name), 'junction')
    }
  }
  await symlink(join(installed, kysely.alias), join(modules, 'kysely'), 'junction')
  await symlink(join(installed, drizzle.alias), join(modules, 'drizzle-orm'), 'junction')
  // A copy: through a link its imports would be looked up where the link leads.
  await cp(join(applications, 'package'), join(modules, 'shared-connection'), { recursive: true })

  const tests = (await readdir(types)).filter((file) => file.endsWith('.test-d.ts'))
  for (const test of tests) await cp(join(types, test), join(application, test))
  const base = '../../../../tsconfig.base.json'
  await writeJson(join(application, 'tsconfig.json'), { extends: base, files: tests })
  await writeJson(join(application, 'published.json'), {
    extends: base,
    compilerOptions: { skipLibCheck: false },
    files: await publishedDeclarations(application),
  })
}

async function publishedDeclarations(application: string): Promise<string[]> {
  const manifest: { exports: Record<string, { types: string }> } = JSON.parse(
    await readFile(join(application, published, 'package.json'), 'utf8'),
  )
  return Object.values(manifest.exports).map((door) => join(published, door.types))
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeFile(path, JSON.stringify(value))
}
