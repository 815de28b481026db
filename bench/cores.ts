import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import type { Client } from 'pg'

/**
 * Pins the server and this process to different cores for measurements without a proxy. Otherwise the
 * scheduler decides, for a whole run, which process of the server shares a core with this one. That
 * changes the time of a statement by up to a fifth, and differently for each variant.
 */
export class Cores {
  readonly #server: number | undefined

  private constructor(server: number | undefined) {
    this.#server = server
  }

  /** Checks whether pinning is possible: on Linux, with two cores, for a server that the bench has started. */
  static async find(observer: Client): Promise<Cores> {
    const isOurs = process.env['DATABASE_URL'] === undefined
    if (!isOurs || process.platform !== 'linux' || availableParallelism() < 2)
      return new Cores(undefined)
    const { rows } = await observer.query<{ pid: number }>(
      `select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int as pid`,
    )
    const cores = new Cores(rows[0]?.pid)
    return cores.#canSet() ? cores : new Cores(undefined)
  }

  /** Whether pinning is possible. */
  get areKnown(): boolean {
    return this.#server !== undefined
  }

  /** Pins the processes, or releases them. New processes of the server inherit the core of its first one. */
  keepApart(apart: boolean): void {
    if (this.#server === undefined) return
    const all = `0-${availableParallelism() - 1}`
    assign(process.pid, apart ? '0' : all)
    assign(this.#server, apart ? '1' : all)
  }

  #canSet(): boolean {
    try {
      this.keepApart(false)
      return true
    } catch {
      return false
    }
  }
}

function assign(pid: number, cores: string): void {
  execFileSync('taskset', ['-a', '-c', '-p', cores, String(pid)], { stdio: 'ignore' })
}
