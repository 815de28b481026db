import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import type { Client } from 'pg'

/**
 * Keeps the server and this process each to a core of its own, while nothing is between them. Else the
 * scheduler decides which process of the server shares a core with this one, for a whole run: that is up
 * to a fifth of the time of a statement, and the same for no two variants.
 */
export class Cores {
  readonly #server: number | undefined

  private constructor(server: number | undefined) {
    this.#server = server
  }

  /** Looks whether that can be done here: on Linux, with two cores, for a server of the bench's own. */
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

  /** Whether they can be kept apart. */
  get areKnown(): boolean {
    return this.#server !== undefined
  }

  /** Keeps them apart, or lets them go. The server's new processes are where the first of them is. */
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
