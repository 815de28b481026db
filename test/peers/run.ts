// Runs a suite of a peer's checkout in each of its manners: see README.md.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startPostgres } from '@shared-connection/test/postgres'
import { printComparison } from './comparison.ts'
import type { Run } from './results.ts'
import { runSuite } from './run-suite.ts'
import { serve } from './server.ts'
import { type Manner, type Suite, suites } from './suites.ts'

const [name = '', checkout = '', ...files] = process.argv.slice(2)
const suite = suiteNamed(name)

const postgres = await startPostgres({ onProgress: console.error })
const folder = await mkdtemp(join(tmpdir(), 'peers-'))
try {
  const stock = await run('stock', suite.stock)
  const bridged = await run('bridged', suite.bridged)
  printComparison(stock, bridged)
} finally {
  await rm(folder, { recursive: true })
  await postgres.stop()
}

async function run(word: string, manner: Manner): Promise<Run> {
  console.error(`running ${name}, ${word}`)
  const server = await serve(suite.address, postgres.url)
  try {
    const root = resolve(checkout, suite.folder)
    const report = join(folder, `${word}.json`)
    return await runSuite(suite, manner, { root, files, report, url: server.url })
  } finally {
    await server.close()
  }
}

function suiteNamed(wanted: string): Suite {
  const found = suites[wanted]
  if (found !== undefined && checkout !== '') return found
  console.error(
    `pnpm peers <suite> <checkout> [<file> …]\nsuites: ${Object.keys(suites).join(', ')}`,
  )
  return process.exit(2)
}
