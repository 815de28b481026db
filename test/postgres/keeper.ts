// Runs one throwaway PostgreSQL for the process that forked it (start-postgres.ts), and removes
// every trace of it when that process is gone.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, closeSync, openSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { serverBinaries } from './server-binaries.ts'
import { type ServerUser, serverUser } from './server-user.ts'
import type { KeeperMessage } from './start-postgres.ts'

interface Program {
  readonly process: ChildProcess
  /** Resolves when it has exited, or could not be started at all. */
  readonly ended: Promise<void>
}

const settings = {
  listen_addresses: '127.0.0.1',
  // No socket file: two servers could want the same one, and a killed server leaves it behind.
  unix_socket_directories: '',
  max_connections: '200',
  max_prepared_transactions: '10',
  // The data is thrown away, so nothing waits for the disk.
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // The process id and the database: with them a test finds its own lines in the log.
  log_line_prefix: '%p %d ',
}

let closing = false
let running: Program | undefined

// First of all: the parent may end before anything else is there.
const parentGone = new Promise<void>((resolve) => {
  for (const event of ['disconnect', 'SIGHUP', 'SIGINT', 'SIGTERM']) {
    process.on(event, () => {
      closing = true
      running?.process.kill('SIGINT')
      resolve()
    })
  }
})

const folder = await mkdtemp(join(tmpdir(), 'shared-connection-'))
try {
  await tell({ type: 'ready', url: await launch() })
  await parentGone
  await stop()
  await removeFolder()
} catch (error) {
  await stop()
  await removeFolder()
  await tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) })
}
process.exit()

async function launch(): Promise<string> {
  await tell({ type: 'progress', text: 'creating a throwaway PostgreSQL' })
  const user = await serverUser()
  const binaries = await serverBinaries(folder, user)
  const data = join(folder, 'data')
  const password = randomBytes(12).toString('hex')
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (user) {
    await chown(folder, user.uid, user.gid)
    await chown(passwordFile, user.uid, user.gid)
  }

  await initialise(binaries.initdb, user, [
    `--pgdata=${data}`,
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    // Plain text on loopback: scram would cost each connection thousands of hash rounds.
    '--auth=password',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ])

  await tell({ type: 'progress', text: 'starting PostgreSQL' })
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    try {
      await serve(binaries.postgres, user, data, port)
      return `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
    } catch (error) {
      // A port that was free a moment ago may be taken by now.
      if (attempt === 3) throw error
    }
  }
}

async function initialise(
  initdb: string,
  user: ServerUser | undefined,
  args: readonly string[],
): Promise<void> {
  const program = start(initdb, args, user)
  await program.ended
  if (program.process.exitCode !== 0) throw new Error(await lastWords())
}

/** Resolves when the server takes connections: its status file says so, as it does to `pg_ctl`. */
async function serve(
  postgres: string,
  user: ServerUser | undefined,
  data: string,
  port: number,
): Promise<void> {
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const program = start(postgres, ['-D', data, '-p', String(port), ...options], user)
  const isOver = program.ended.then(() => true)
  do {
    const status = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
    if (status.split('\n')[7]?.trim() === 'ready') return
  } while (!(await Promise.race([isOver, delay(20, false)])))
  throw new Error(await lastWords())
}

/** Starts a program of PostgreSQL. What it says goes to server.log beside the data. */
function start(program: string, args: readonly string[], user: ServerUser | undefined): Program {
  if (closing) throw new Error('the program that wanted it has ended')
  const log = openSync(join(folder, 'server.log'), 'a')
  const child = spawn(program, args, {
    // The current folder may be one that the server's user cannot enter.
    cwd: folder,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', log, log],
    ...user,
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', (error) => {
      appendFileSync(join(folder, 'server.log'), String(error))
      resolve()
    })
  })
  running = { process: child, ended }
  return running
}

async function stop(): Promise<void> {
  // A fast shutdown; should a backend not let go, an immediate one.
  running?.process.kill('SIGINT')
  const impatient = setTimeout(() => running?.process.kill('SIGQUIT'), 5_000)
  await running?.ended
  clearTimeout(impatient)
}

function removeFolder(): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

async function lastWords(): Promise<string> {
  const log = await readFile(join(folder, 'server.log'), 'utf8')
  return log.trim().split('\n').slice(-8).join('\n')
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

function tell(message: KeeperMessage): Promise<void> {
  return new Promise((resolve) => {
    // A parent that is gone needs no answer.
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve())
    else resolve()
  })
}
