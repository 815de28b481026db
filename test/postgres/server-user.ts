import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/**
 * The user to run the server as: PostgreSQL refuses to run as root. `nobody` is on every system and
 * owns nothing, so no user has to be created. `undefined` if the current user is not root, and so can run it.
 */
export async function serverUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  return { uid: await id('-u'), gid: await id('-g') }
}

async function id(option: '-u' | '-g'): Promise<number> {
  const { stdout } = await promisify(execFile)('id', [option, 'nobody'])
  return Number(stdout)
}
