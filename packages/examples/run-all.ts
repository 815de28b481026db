// Runs every numbered example, or those whose names begin with an argument, each in its own database,
// and prints its result.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { freshDatabase, startPostgres } from '@shared-connection/test/postgres'

const wanted = process.argv.slice(2)
const examples = (await readdir(import.meta.dirname))
  .filter((file) => /^\d\d-.+\.ts$/.test(file))
  .filter((file) => wanted.length === 0 || wanted.some((start) => file.startsWith(start)))
  .toSorted()
if (examples.length === 0) throw new Error(`there is no example ${wanted.join(', ')}`)

const server = await startPostgres({ onProgress: (message) => console.log(message) })
let failed = 0
try {
  for (const example of examples) {
    const { succeeded, output, seconds } = await run(example)
    console.log(`${succeeded ? 'ok    ' : 'failed'}  ${seconds} s  ${example}`)
    if (!succeeded) failed += 1
    // Print the output of examples that were selected by name, and of those that failed.
    if (!succeeded || wanted.length > 0) process.stdout.write(output)
  }
} finally {
  await server.stop()
}
console.log(`${examples.length - failed} of ${examples.length} examples ran`)
process.exitCode = failed === 0 ? 0 : 1

interface Run {
  readonly succeeded: boolean
  readonly output: string
  readonly seconds: string
}

/** Runs one example as a reader of the repository would start it. */
async function run(example: string): Promise<Run> {
  const database = await freshDatabase(server.url)
  const started = performance.now()
  try {
    const child = spawn(process.execPath, ['--conditions=@shared-connection/source', example], {
      cwd: import.meta.dirname,
      env: { ...process.env, DATABASE_URL: database.url },
      // An example that hangs would block the whole check.
      timeout: 60_000,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    const [code, signal] = await once(child, 'close')
    if (signal) output += `ended by ${signal}\n`
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    return { succeeded: code === 0, output, seconds }
  } finally {
    await database.drop()
  }
}
