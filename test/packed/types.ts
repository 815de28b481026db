// Compiles programs against the published declarations, with each TypeScript that is supported and
// with the strictest settings: declarations are written, and those of the package are checked.
// Run by `pnpm check:package`.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { combinations, isCrossed, newest } from '../combinations.ts'
import { makeApplication, pack, writeJson } from './application.ts'

const COMPILERS = ['typescript-5.4', 'typescript-5.9', 'typescript-6', 'typescript']
const MODULES = { nodenext: 'nodenext', bundler: 'esnext' }

const programs = join(import.meta.dirname, 'programs')
const applications = join(import.meta.dirname, '.applications', 'types')

const packed = await pack(applications)
let failed = false
for (const combination of combinations.filter((each) => !isCrossed(each))) {
  // How modules are resolved does not depend on the versions of the libraries.
  const resolutions = combination.name === newest.name ? Object.keys(MODULES) : ['nodenext']
  const application = join(applications, combination.name)
  await makeApplication(application, combination, packed)
  await addPrograms(application)
  for (const compiler of COMPILERS) {
    // two at a time: each takes a core
    const complaints = await Promise.all(
      resolutions.map((resolution) => compile(application, compiler, resolution)),
    )
    for (const [index, resolution] of resolutions.entries()) {
      const lines = complaints[index] ?? []
      failed ||= lines.length > 0
      console.log(
        `${lines.length === 0 ? 'ok    ' : 'failed'}  ${combination.name} ${compiler} ${resolution}`,
      )
      for (const line of lines) console.log(line)
    }
  }
}
process.exitCode = failed ? 1 : 0

async function addPrograms(application: string): Promise<void> {
  for (const program of await readdir(programs)) {
    await cp(join(programs, program), join(application, program))
  }
  await writeFile(join(application, 'readme.ts'), await readmeProgram())
  for (const [resolution, module] of Object.entries(MODULES)) {
    await writeJson(join(application, `${resolution}.json`), {
      compilerOptions: {
        target: 'es2022',
        lib: ['es2023'],
        module,
        moduleResolution: resolution,
        types: ['node'],
        strict: true,
        skipLibCheck: false,
        declaration: true,
        outDir: `out-${resolution}`,
      },
      include: ['*.ts'],
    })
  }
}

/** The first program of the README, which imports `shared-connection/register` alone. */
async function readmeProgram(): Promise<string> {
  const readme = await readFile(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
  const [, program = ''] = /```ts\n([^]*?)```/.exec(readme) ?? []
  return [
    "import { pgTable, serial, text } from 'drizzle-orm/pg-core'",
    program.replaceAll(/^const /gm, 'export const '),
    'export interface Database { profiles: { account_id: number } }',
    "const accounts = pgTable('accounts', { id: serial().primaryKey(), email: text() })",
  ].join('\n')
}

/** The errors in the programs and in the package. Those of other packages are theirs. */
async function compile(
  application: string,
  compiler: string,
  resolution: string,
): Promise<readonly string[]> {
  const manifest = fileURLToPath(import.meta.resolve(`${compiler}/package.json`))
  const tsc = spawn(
    process.execPath,
    [join(dirname(manifest), 'bin', 'tsc'), '-p', `${resolution}.json`, '--pretty', 'false'],
    { cwd: application, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [output, [code]] = await Promise.all([text(tsc.stdout), once(tsc, 'close')])
  const lines = output.split('\n').filter((line) => /^\S/.test(line))
  const ours = lines.filter(
    (line) => !line.startsWith('node_modules/') || line.includes('/shared-connection/'),
  )
  // a compiler that could not run has no errors to tell
  return code !== 0 && lines.length === 0 ? [`${compiler} ended with ${code}`] : ours
}
