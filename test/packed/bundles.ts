// Bundles a program with the published package and runs it against PostgreSQL: its rows are right,
// and an error says where a transaction began, by the user's lines and none of the bridge's.
// Run by `pnpm check:package`.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, readFile } from 'node:fs/promises'
import { SourceMap } from 'node:module'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { rspack, type Configuration } from '@rspack/core'
import { build, type BuildOptions } from 'esbuild'
import { newest } from '../combinations.ts'
import { freshDatabase, startPostgres } from '../postgres/index.ts'
import { makeApplication, pack } from './application.ts'

const run = promisify(execFile)
const applications = join(import.meta.dirname, '.applications', 'bundles')
const application = join(applications, 'application')

// what pg requires only where it is asked to
const NOT_INSTALLED = ['pg-native', 'pg-cloudflare']
// what pg and pg-pool are, CommonJS, calls require()
const REQUIRE =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"

const ESBUILD: Readonly<Record<string, BuildOptions>> = {
  'esbuild-esm': { format: 'esm', banner: { js: REQUIRE } },
  'esbuild-cjs': { format: 'cjs', outExtension: { '.js': '.cjs' } },
  'esbuild-minified': { format: 'cjs', minify: true, outExtension: { '.js': '.cjs' } },
  'esbuild-splitting': { format: 'esm', splitting: true, banner: { js: REQUIRE } },
}
const RSPACK: Readonly<Record<string, Configuration>> = {
  'rspack-development': { mode: 'development' },
  'rspack-production': { mode: 'production' },
}

const packed = await pack(applications)
await makeApplication(application, newest, packed)
await cp(join(import.meta.dirname, 'bundled'), application, { recursive: true })

const server = await startPostgres()
try {
  for (const [name, options] of Object.entries(ESBUILD)) {
    await check(name, () => bundleWithEsbuild(name, options))
  }
  for (const [name, options] of Object.entries(RSPACK)) {
    await check(name, () => bundleWithRspack(name, options))
  }
} finally {
  await server.stop()
}

async function check(name: string, bundle: () => Promise<string>): Promise<void> {
  try {
    await verify(await bundle())
    console.log(`ok      ${name}`)
  } catch (error) {
    console.log(`failed  ${name}\n${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

async function bundleWithEsbuild(name: string, options: BuildOptions): Promise<string> {
  await build({
    entryPoints: [join(application, 'program.ts')],
    bundle: true,
    platform: 'node',
    external: NOT_INSTALLED,
    outdir: join(application, name),
    logLevel: 'error',
    sourcemap: true,
    ...options,
  })
  return join(application, name, `program${options.outExtension?.['.js'] ?? '.js'}`)
}

async function bundleWithRspack(name: string, options: Configuration): Promise<string> {
  const compiler = rspack({
    context: application,
    entry: './program.ts',
    target: 'node22',
    devtool: 'source-map',
    output: { path: join(application, name), filename: 'program.cjs' },
    externals: Object.fromEntries(NOT_INSTALLED.map((module) => [module, `commonjs ${module}`])),
    resolve: { extensions: ['.ts', '.js'] },
    module: {
      rules: [
        {
          test: /\.ts$/,
          loader: 'builtin:swc-loader',
          options: { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } },
        },
      ],
    },
    ...options,
  })
  await new Promise<void>((resolve, reject) => {
    compiler.run((error, stats) => {
      if (error) reject(error)
      else if (stats?.hasErrors()) reject(new Error(stats.toString('errors-only')))
      else resolve()
    })
  })
  return join(application, name, 'program.cjs')
}

interface Place {
  readonly message: string
  readonly began: readonly string[]
}

async function verify(bundle: string): Promise<void> {
  const database = await freshDatabase(server.url)
  try {
    const { stdout } = await run(process.execPath, [bundle], {
      env: { ...process.env, DATABASE_URL: database.url },
      timeout: 60_000,
    })
    const said: { places: Record<string, Place>; bodies: string[] } = JSON.parse(stdout)
    assert.deepEqual(said.bodies, ['kept', 'kept'])
    for (const [layer, { began, message }] of Object.entries(said.places)) {
      const sources = await sourcesOf(began)
      // Drizzle's own call of its session stands in front of the user's.
      const call = sources[layer === 'drizzle' ? 1 : 0]
      assert.match(call ?? '', /program\.ts$/, `${layer}: ${message}\n${sources.join('\n')}`)
      const own = sources.filter((source) => source.includes('shared-connection'))
      assert.deepEqual(own, [], `${layer}: the bridge's own lines\n${message}`)
    }
  } finally {
    await database.drop()
  }
}

/** The source file of each line of a trace, by the source map of its bundle. */
function sourcesOf(lines: readonly string[]): Promise<string[]> {
  return Promise.all(
    lines.map(async (line) => {
      const [, file = '', row, column] = /([^ ()]+):(\d+):(\d+)\)?$/.exec(line) ?? []
      if (!file.startsWith('file:') && !isAbsolute(file)) return line
      const path = file.startsWith('file:') ? fileURLToPath(file) : file
      const map = new SourceMap(JSON.parse(await readFile(`${path}.map`, 'utf8')))
      const entry = map.findEntry(Number(row) - 1, Number(column) - 1)
      return 'originalSource' in entry ? entry.originalSource : line
    }),
  )
}
