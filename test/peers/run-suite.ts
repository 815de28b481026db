import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readReport, type Run } from './results.ts'
import type { Manner, Suite } from './suites.ts'

export interface Place {
  /** The folder that the suite is run in. */
  readonly root: string
  /** Those of its files that are run, if not all. */
  readonly files: readonly string[]
  readonly report: string
  /** An empty database. */
  readonly url: string
}

/** Runs a suite once. What it prints goes to standard error. */
export async function runSuite(suite: Suite, manner: Manner, place: Place): Promise<Run> {
  const { root, report } = place
  const witness = `${report}.shared`
  await rm(report, { force: true })
  await writeFile(witness, '')
  const files = place.files.length > 0 ? place.files : suite.files
  const options = [...(suite.options ?? []), ...reportingTo(report)[suite.runner]]
  const program = programOf(suite.runner, root)
  const child = spawn(process.execPath, [...program, ...files, ...options], {
    cwd: root,
    env: {
      ...process.env,
      ...suite.env,
      ...manner.env,
      ...environment(place.url, manner),
      PEERS_WITNESS: witness,
    },
    stdio: ['ignore', process.stderr, process.stderr],
  })
  const [code] = await once(child, 'close')
  if (!existsSync(report)) throw new Error(`the suite has left no report (exit code ${code})`)
  return { results: await readReport(report), shared: (await readFile(witness, 'utf8')).length }
}

function programOf(runner: Suite['runner'], root: string): string[] {
  const require = createRequire(join(root, 'package.json'))
  const folder = dirname(require.resolve(`${runner}/package.json`))
  return runner === 'mocha'
    ? [join(folder, 'bin', 'mocha.js')]
    : [join(folder, 'vitest.mjs'), 'run']
}

function reportingTo(report: string): Record<Suite['runner'], readonly string[]> {
  return {
    // A connection that is left open would keep Mocha from ending.
    mocha: ['--exit', '--reporter', 'json', '--reporter-option', `output=${report}`],
    vitest: ['--reporter', 'json', '--outputFile', report],
  }
}

function environment(url: string, { preload }: Manner): NodeJS.ProcessEnv {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    // Whatever the suite starts runs on this Node, too.
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
    PG_CONNECTION_STRING: url,
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: password,
    PGDATABASE: pathname.slice(1),
    ...(preload !== undefined && {
      NODE_OPTIONS: `--conditions=@shared-connection/source --import ${pathToFileURL(preload).href}`,
    }),
  }
}
