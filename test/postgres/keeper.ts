// Keeps a PostgreSQL for the process that forked it: start-postgres.ts.

import { randomBytes } from 'node:crypto'
import { chown, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type House, keep, onFreePort, untilReady } from './keep.ts'
import { serverBinaries } from './server-binaries.ts'

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

// A fast shutdown; should a backend not let go, an immediate one.
await keep({ end: 'SIGINT', force: 'SIGQUIT' }, launch)

async function launch(house: House): Promise<string> {
  await house.progress('creating a throwaway PostgreSQL')
  const binaries = await serverBinaries(house.folder, house.user)
  const data = join(house.folder, 'data')
  const password = randomBytes(12).toString('hex')
  await initialise(house, binaries.initdb, data, password)

  await house.progress('starting PostgreSQL')
  const port = await onFreePort((free) => serve(house, binaries.postgres, data, free))
  return `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
}

async function initialise(
  house: House,
  initdb: string,
  data: string,
  password: string,
): Promise<void> {
  const passwordFile = join(house.folder, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (house.user) await chown(passwordFile, house.user.uid, house.user.gid)
  const program = house.start(initdb, [
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
  await program.ended
  if (program.process.exitCode !== 0) throw await house.failure()
}

/** Resolves when the server takes connections: its status file says so, as it does to `pg_ctl`. */
async function serve(house: House, postgres: string, data: string, port: number): Promise<void> {
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const program = house.start(postgres, ['-D', data, '-p', String(port), ...options])
  await untilReady(house, program, async () => {
    const status = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
    return status.split('\n')[7]?.trim() === 'ready'
  })
}
