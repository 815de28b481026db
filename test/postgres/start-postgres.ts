import { fileURLToPath } from 'node:url'
import { forkKeeper, type Kept } from './fork-keeper.ts'

/** A PostgreSQL to work on. */
export type Postgres = Kept

export interface StartOptions {
  /** Called with a short message about the progress. The first seconds are silent otherwise. */
  readonly onProgress?: (message: string) => void
}

/** The server named by `DATABASE_URL`, or else a throwaway one on a free port of this machine. */
export async function startPostgres(options: StartOptions = {}): Promise<Postgres> {
  const given = process.env['DATABASE_URL']
  if (given) return { url: given, stop: () => Promise.resolve() }

  try {
    return await forkKeeper(fileURLToPath(new URL('keeper.ts', import.meta.url)), options)
  } catch (error) {
    throw new Error(
      `PostgreSQL could not be started: ${error instanceof Error ? error.message : String(error)}\n` +
        'Set DATABASE_URL to the URL of a PostgreSQL superuser to use a server of your own.',
      { cause: error },
    )
  }
}
