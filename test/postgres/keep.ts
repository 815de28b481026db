import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, openSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { KeeperMessage } from './fork-keeper.ts'
import { type ServerUser, serverUser } from './server-user.ts'

interface Program {
  readonly process: ChildProcess
  /** Resolves when it has exited, or could not be started at all. */
  readonly ended: Promise<void>
}

/** The tools of a keeper for its server. */
export interface House {
  /** The server's folder, which is removed at the end. */
  readonly folder: string
  /** The user that runs the programs, if it is not the current one. */
  readonly user: ServerUser | undefined
  /** Starts a program. Its output goes to server.log in the folder. */
  start(program: string, args: readonly string[]): Program
  /** Returns the output so far. */
  log(): Promise<string>
  /** The error for a program that has ended too early. */
  failure(): Promise<Error>
  progress(text: string): Promise<void>
}

/** The signals that end a server. */
export interface Signals {
  readonly end: NodeJS.Signals
  /** The signal for a server that does not end. */
  readonly force: NodeJS.Signals
}

/**
 * Runs one throwaway server for the process that forked this one (fork-keeper.ts), and removes every
 * trace of it when that process is gone.
 *
 * @param launch Resolves with the URL when the server takes connections.
 */
export async function keep(
  signals: Signals,
  launch: (house: House) => Promise<string>,
): Promise<never> {
  let closing = false
  let running: Program | undefined

  // This comes first, since the parent may end at any moment.
  const parentGone = new Promise<void>((resolve) => {
    for (const event of ['disconnect', 'SIGHUP', 'SIGINT', 'SIGTERM']) {
      process.on(event, () => {
        closing = true
        running?.process.kill(signals.end)
        resolve()
      })
    }
  })

  const folder = await mkdtemp(join(tmpdir(), 'shared-connection-'))
  const logFile = join(folder, 'server.log')
  try {
    const user = await serverUser()
    if (user) await chown(folder, user.uid, user.gid)
    const url = await launch({
      folder,
      user,
      start(program, args) {
        if (closing) throw new Error('the program that wanted it has ended')
        running = start(program, args, { folder, logFile, user })
        return running
      },
      log: () => readFile(logFile, 'utf8'),
      async failure() {
        const log = await readFile(logFile, 'utf8')
        return new Error(log.trim().split('\n').slice(-8).join('\n'))
      },
      progress: (text) => tell({ type: 'progress', text }),
    })
    await tell({ type: 'ready', url })
    await parentGone
    await stop(running, signals)
    await remove(folder)
  } catch (error) {
    await stop(running, signals)
    await remove(folder)
    await tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) })
  }
  process.exit()
}

/** Resolves when `isReady` returns true. Rejects with the output of the program if it ends before. */
export async function untilReady(
  house: House,
  program: Program,
  isReady: () => Promise<boolean>,
): Promise<void> {
  const isOver = program.ended.then(() => true)
  do {
    if (await isReady()) return
  } while (!(await Promise.race([isOver, delay(20, false)])))
  throw await house.failure()
}

/** Tries `launch` on one free port after another: what was free a moment ago may be taken by now. */
export async function onFreePort(launch: (port: number) => Promise<void>): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    try {
      await launch(port)
      return port
    } catch (error) {
      if (attempt === 3) throw error
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}

interface Place {
  readonly folder: string
  readonly logFile: string
  readonly user: ServerUser | undefined
}

function start(program: string, args: readonly string[], place: Place): Program {
  const log = openSync(place.logFile, 'a')
  const child = spawn(program, args, {
    // The current folder may be one that the server's user cannot enter.
    cwd: place.folder,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', log, log],
    ...place.user,
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', (error) => {
      appendFileSync(place.logFile, String(error))
      resolve()
    })
  })
  return { process: child, ended }
}

async function stop(program: Program | undefined, { end, force }: Signals): Promise<void> {
  program?.process.kill(end)
  const impatient = setTimeout(() => program?.process.kill(force), 5_000)
  await program?.ended
  clearTimeout(impatient)
}

function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

function tell(message: KeeperMessage): Promise<void> {
  return new Promise((resolve) => {
    // A parent that is gone needs no answer.
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve())
    else resolve()
  })
}
