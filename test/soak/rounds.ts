import { setTimeout as delay } from 'node:timers/promises'
import type { Application } from './application.ts'
import type { Faults } from './faults.ts'
import { Heap } from './heap.ts'
import { Ledger } from './ledger.ts'
import { makePlan } from './plan.ts'
import type { Random } from './random.ts'
import { makeRequest, type Report } from './request.ts'

const REQUESTS_AT_ONCE = 24
const ROUND = 1_000
// Until then V8 is still compiling, and the heap grows because of that.
const WARM_UP = 15_000
const PATIENCE = 30_000

/** Runs rounds of load, and checks each of them. */
export class Soak {
  readonly ledger = new Ledger()
  readonly heap = new Heap()
  readonly faults: Faults
  /** Clients in use and active sessions after the end of all requests. */
  leaked = 0
  readonly #app: Application
  readonly #random: Random
  #nextId = 1

  constructor(app: Application, random: Random, faults: Faults) {
    this.#app = app
    this.#random = random
    this.faults = faults
  }

  /** Resolves with whether all rounds have ended. */
  async run(seconds: number): Promise<boolean> {
    const begun = Date.now()
    const end = begun + seconds * 1_000
    while (Date.now() < end) {
      if (!(await this.#round(Math.min(Date.now() + ROUND, end)))) return false
      if (Date.now() >= begun + WARM_UP) this.heap.sample(this.ledger.transactions)
    }
    return true
  }

  /** A separate function, so that reports can be collected before the heap is measured. */
  async #round(end: number): Promise<boolean> {
    const reports = await this.#load(end)
    if (reports === undefined) return false
    await this.#rest()
    await this.ledger.close(this.#app, reports)
    return true
  }

  /** Runs load and faults until `end`. Resolves when all requests have ended. */
  async #load(end: number): Promise<Report[] | undefined> {
    const reports: Report[] = []
    const flow = async (): Promise<void> => {
      while (Date.now() < end) {
        const plan = makePlan(() => this.#nextId++, this.#random)
        await makeRequest(this.#app, plan, (report) => reports.push(report))
      }
    }
    this.faults.start()
    const flows = Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, flow))
    const patience = new AbortController()
    const impatient = delay(end - Date.now() + PATIENCE, 'stuck', { signal: patience.signal })
    impatient.catch(() => {})
    const first = await Promise.race([flows, impatient])
    patience.abort()
    await this.faults.stop()
    return first === 'stuck' ? undefined : reports
  }

  /** Waits until all clients are released, and counts those that are not. */
  async #rest(): Promise<void> {
    const { pool, shared } = this.#app
    const inUse = (): number => pool.totalCount - pool.idleCount + pool.waitingCount
    await until(async () => inUse() === 0)
    this.leaked += inUse() + Number(shared.inTransaction)
    // A session whose client has gone runs until it notices that.
    await until(async () => (await this.#busySessions()) === 0)
    this.leaked += await this.#busySessions()
  }

  async #busySessions(): Promise<number> {
    const { rowCount } = await this.#app.observer.query(
      `select from pg_stat_activity where application_name = 'soak' and state <> 'idle'`,
    )
    return rowCount ?? 0
  }
}

/** Waits for a condition, for a limited time. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!(await condition()) && Date.now() < deadline) await delay(5)
}
