import { fork } from 'node:child_process'
import { once } from 'node:events'

/** A throwaway server that runs for as long as this process does, or until `stop()`. */
export interface Kept {
  readonly url: string
  stop(): Promise<void>
}

/** The message of a keeper to the process that started it. */
export type KeeperMessage =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'ready'; readonly url: string }
  | { readonly type: 'failed'; readonly reason: string }

export interface KeeperOptions {
  /** The parameters of the keeper. They are not arguments, which every user of the machine can read. */
  readonly env?: NodeJS.ProcessEnv
  readonly onProgress?: ((message: string) => void) | undefined
}

/**
 * Starts a keeper (keep.ts). It ends its server and removes its folder as soon as the channel to
 * this process closes. So nothing is left behind however this process ends, be it by `kill -9`, and
 * no signal handler is needed here.
 */
export async function forkKeeper(program: string, options: KeeperOptions = {}): Promise<Kept> {
  const keeper = fork(program, {
    // A session of its own: Ctrl-C in the terminal must not reach the keeper and its server.
    detached: true,
    execArgv: [],
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(keeper, 'exit')

  const url = await new Promise<string>((resolve, reject) => {
    keeper.on('message', (message: KeeperMessage) => {
      if (message.type === 'progress') options.onProgress?.(message.text)
      if (message.type === 'ready') resolve(message.url)
      if (message.type === 'failed') reject(new Error(message.reason))
    })
    exited.then(() => reject(new Error('its keeper has ended')), reject)
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
