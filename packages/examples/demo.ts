// Shows why two layers should share one connection, on a throwaway PostgreSQL or on that of DATABASE_URL.
// The demo creates its own database, and drops it at the end.

import { freshDatabase, startPostgres } from '@shared-connection/test/postgres'
import { apart } from './demo/apart.ts'
import { connection } from './demo/connection.ts'
import { failure } from './demo/failure.ts'
import { hooks } from './demo/hooks.ts'
import { nested } from './demo/nested.ts'
import { Observer, openShop } from './demo/shop.ts'
import { claims, say, startLog, title, whisper } from './demo/stage.ts'
import { together } from './demo/together.ts'

const started = performance.now()
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`

title('Kysely and Drizzle on one PostgreSQL connection')
const server = await startPostgres({ onProgress: (message) => whisper(`${message} …`) })
const database = await freshDatabase(server.url)
let isInterrupted = false
try {
  await Promise.race([show(database.url), interruption()])
} finally {
  await database.drop()
  await server.stop()
}
if (isInterrupted) process.exit(130)

const failed = claims.made - claims.held
say()
say(`${failed === 0 ? 'All' : claims.held} of ${claims.made} claims hold, after ${seconds()}.`)
say()
process.exitCode = failed === 0 ? 0 : 1

async function show(url: string): Promise<void> {
  const observer = new Observer(url)
  const version = await observer.prepare()
  whisper(`PostgreSQL ${version} is there after ${seconds()}`)

  await apart(url, observer)
  const shop = openShop(url, observer)
  const stopLog = startLog()
  await together(shop)
  await nested(shop)
  await failure(shop)
  await hooks(shop)
  await connection(shop)

  stopLog()
  await shop.orm.$client.end()
  await observer.end()
}

/** Cleans up after Ctrl-C, after the terminal was closed, and after the reader of the pipe has gone. */
function interruption(): Promise<void> {
  return new Promise((resolve) => {
    const interrupt = (): void => {
      isInterrupted = true
      resolve()
    }
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.once(signal, interrupt)
    process.stdout.on('error', interrupt)
  })
}
