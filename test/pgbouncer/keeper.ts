// Keeps a PgBouncer for the process that forked it: start-pgbouncer.ts.

import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type House, keep, onFreePort, untilReady } from '../postgres/keep.ts'

const program = process.env['PGBOUNCER'] ?? ''
const server = new URL(process.env['PGBOUNCER_SERVER_URL'] ?? '')

// At once: SIGINT would wait for its clients.
await keep({ end: 'SIGTERM', force: 'SIGKILL' }, async (house) => {
  const port = await onFreePort((free) => serve(house, free))
  const url = new URL(server)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  // What it says of encryption is for the way from the pooler to the server.
  url.search = ''
  return url.href
})

async function serve(house: House, port: number): Promise<void> {
  const user = decodeURIComponent(server.username)
  const password = decodeURIComponent(server.password)
  await put(house, 'users.txt', `${quoted(user)} ${quoted(password)}\n`)
  const config = await put(
    house,
    'pgbouncer.ini',
    `[databases]
* = host=${server.hostname.replace(/^\[|\]$/g, '')} port=${server.port || '5432'}

[pgbouncer]
pool_mode = transaction
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
# A client shows the password that the server wants from the pooler.
auth_type = ${password ? 'plain' : 'trust'}
auth_file = ${join(house.folder, 'users.txt')}
# Who may tell it to close sessions (close-sessions.ts).
admin_users = ${user}
server_tls_sslmode = prefer
# Sessions take turns (open-sessions.ts).
server_round_robin = 1
# Above what the tests want at once: to wait for the pooler is not what they are about.
max_client_conn = 500
default_pool_size = 50
`,
  )
  const bouncer = house.start(program, [config])
  await untilReady(house, bouncer, async () => (await house.log()).includes('process up'))
}

/** Writes a file that only PgBouncer can read. */
async function put({ folder, user }: House, name: string, text: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, text, { mode: 0o600 })
  if (user) await chown(file, user.uid, user.gid)
  return file
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
