import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { forkKeeper, type Kept } from '../postgres/fork-keeper.ts'

/** The reason why there is no PgBouncer. */
export interface Missing {
  readonly missing: string
}

/**
 * Starts a PgBouncer in transaction pooling mode, on a free port of this machine, before the server
 * of `serverUrl`.
 */
export async function startPgBouncer(serverUrl: string): Promise<Kept | Missing> {
  const program = await findProgram()
  if (!program) return { missing: 'PgBouncer is not installed (apt-get install pgbouncer)' }
  if (!new URL(serverUrl).hostname) {
    return { missing: 'PgBouncer needs a host to connect to, and DATABASE_URL names none' }
  }
  return forkKeeper(fileURLToPath(new URL('keeper.ts', import.meta.url)), {
    env: { PGBOUNCER: program, PGBOUNCER_SERVER_URL: serverUrl },
  })
}

async function findProgram(): Promise<string | undefined> {
  // On Debian it is in a folder that is only in the PATH of root.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const folder of folders) {
    const file = join(folder, 'pgbouncer')
    try {
      await access(file, constants.X_OK)
      return file
    } catch {
      // the next folder then
    }
  }
  return undefined
}
