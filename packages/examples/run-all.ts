// Runs every numbered example against a database of its own and says how each ended.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { freshDatabase, startPostgres } from '@shared-connection/test/postgres'

const examples = (await readdir(import.meta.dirname))
  .filter((file) => /^\d\d-.+\.ts$/.test(file))
  .toSorted()
if (examples.length === 0) throw new Error('there are no examples')

const server = await startPostgres({ onProgress: (message) => console.log(message) })
let failed = 0
try {
  for (const example of examples) {
    const { succeeded, output } = await run(example)
    console.log(`${succeeded ? 'ok    ' : 'failed'}  ${example}`)
    if (succeeded) continue
    failed += 1
    console.log(output)
  }
} finally {
  await server.stop()
}
console.log(`${examples.length - failed} of ${examples.length} examples ran`)
process.exitCode = failed === 0 ? 0 : 1

/** Runs one example to its end, as a reader of the repository would start it. */
async function run(example: string): Promise<{ succeeded: boolean; output: string }> {
  const database = await freshDatabase(server.url)
  try {
    const child = spawn(process.execPath, ['--conditions=@shared-connection/source', example], {
      cwd: import.meta.dirname,
      env: { ...process.env, DATABASE_URL: database.url },
      // An example that hangs would hold up the whole check.
      timeout: 60_000,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    const [code, signal] = await once(child, 'close')
    if (signal) output += `ended by ${signal}\n`
    return { succeeded: code === 0, output }
  } finally {
    await database.drop()
  }
}
