import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A PostgreSQL to work on. */
export interface Postgres {
  readonly url: string
  stop(): Promise<void>
}

export interface StartOptions {
  /** Told in a few words what is going on: the first seconds are silent otherwise. */
  readonly onProgress?: (message: string) => void
}

/** What the keeper tells the process that started it. */
export type KeeperMessage =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'ready'; readonly url: string }
  | { readonly type: 'failed'; readonly reason: string }

/**
 * The server named by `DATABASE_URL`, or else a throwaway one on a free port of this machine.
 *
 * The throwaway server belongs to a keeper process, which ends it and removes its folder as soon as
 * the channel to this process closes. So nothing is left behind however this process ends, be it by
 * `kill -9`, and no signal handler is needed here.
 */
export async function startPostgres(options: StartOptions = {}): Promise<Postgres> {
  const given = process.env['DATABASE_URL']
  if (given) return { url: given, stop: () => Promise.resolve() }

  const keeper = fork(fileURLToPath(new URL('keeper.ts', import.meta.url)), {
    // A session of its own: Ctrl-C in the terminal must not reach the keeper and its server.
    detached: true,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(keeper, 'exit')

  const url = await new Promise<string>((resolve, reject) => {
    keeper.on('message', (message: KeeperMessage) => {
      if (message.type === 'progress') options.onProgress?.(message.text)
      if (message.type === 'ready') resolve(message.url)
      if (message.type === 'failed') reject(unavailable(message.reason))
    })
    exited.then(() => reject(unavailable('its keeper has ended')), reject)
  })

  // A program that forgets `stop()` still ends when its own work does.
  keeper.unref()
  keeper.channel?.unref()

  return {
    url,
    async stop() {
      keeper.ref()
      if (keeper.connected) keeper.disconnect()
      await exited
    },
  }
}

function unavailable(reason: string): Error {
  return new Error(
    `PostgreSQL could not be started: ${reason}\n` +
      'Set DATABASE_URL to the URL of a PostgreSQL superuser to use a server of your own.',
  )
}
