import { TransactionOutcomeUnknownError } from 'shared-connection'
import { type Application, works } from './application.ts'
import type { Layer, Plan, Step } from './plan.ts'

/** The result of a transaction, according to its call and to its hooks. */
export interface Report {
  readonly plan: Plan
  readonly outcome: 'committed' | 'rolled-back' | 'unknown'
  /** The parts that exist if the transaction has committed. */
  readonly kept: readonly number[]
  /** The error that it was rejected with. */
  readonly error: unknown
  /** The parts whose `afterCommit` ran. */
  readonly told: readonly number[]
  readonly rolledBack: number
  readonly completions: readonly string[]
  /** Whether it has registered those hooks. */
  readonly begun: boolean
}

/** The error that a request throws on purpose. */
export class Refusal extends Error {}

/** Blocks that are not awaited. */
type Loose = Promise<number[]>[]

type OnReport = (report: Report) => void

/** Runs a plan, and never rejects. Reports each transaction. */
export async function makeRequest(app: Application, plan: Plan, onReport: OnReport): Promise<void> {
  onReport(await new Request(app, plan, onReport).run())
}

class Request {
  readonly #app: Application
  readonly #plan: Plan
  readonly #onReport: OnReport
  readonly #told: number[] = []
  readonly #completions: string[] = []
  #rolledBack = 0
  #begun = false
  #kept: number[] = []

  constructor(app: Application, plan: Plan, onReport: OnReport) {
    this.#app = app
    this.#plan = plan
    this.#onReport = onReport
  }

  async run(): Promise<Report> {
    try {
      await this.#open()
      return this.#report('committed')
    } catch (error) {
      const isUnknown =
        error instanceof TransactionOutcomeUnknownError ||
        // The outcome of a lone statement that failed is unknown.
        this.#plan.opener === 'none'
      return this.#report(isUnknown ? 'unknown' : 'rolled-back', error)
    }
  }

  #report(outcome: Report['outcome'], error?: unknown): Report {
    return {
      plan: this.#plan,
      outcome,
      kept: this.#kept,
      error,
      told: this.#told,
      rolledBack: this.#rolledBack,
      completions: this.#completions,
      begun: this.#begun,
    }
  }

  async #open(): Promise<void> {
    const { opener, steps } = this.#plan
    if (opener === 'none') {
      // Recorded before the call, since the row may exist even if the call fails.
      this.#kept = steps.flatMap((step) => (step.kind === 'write' ? [step.part] : []))
      await this.#steps(steps, [])
      return
    }
    const loose: Loose = []
    this.#kept = []
    try {
      if (opener === 'controlled') await this.#controlled(() => this.#body(loose))
      else await this.#block(opener, () => this.#body(loose))
    } finally {
      this.#kept.push(...(await partsOf(loose)))
    }
  }

  async #controlled(fn: () => Promise<void>): Promise<void> {
    const trx = await this.#app.db.startTransaction().execute()
    try {
      await this.#app.shared.within(trx, fn)
      await trx.commit().execute()
    } catch (error) {
      // After an error of COMMIT there is nothing left to roll back.
      if (!trx.isCommitted && !trx.isRolledBack) await trx.rollback().execute()
      throw error
    }
  }

  async #body(loose: Loose): Promise<void> {
    const { shared } = this.#app
    await shared.afterRollback(() => void this.#rolledBack++)
    await shared.afterCompletion((outcome) => void this.#completions.push(outcome))
    this.#begun = true
    this.#kept = await this.#steps(this.#plan.steps, loose)
    if (this.#plan.throws) throw new Refusal()
  }

  /** Runs the steps in order. Resolves with the parts that exist if the frame commits. */
  async #steps(steps: readonly Step[], loose: Loose): Promise<number[]> {
    const kept: number[] = []
    for (const step of steps) {
      if (step.kind === 'block' && step.loose) loose.push(this.#nested(step))
      else kept.push(...(await this.#step(step)))
    }
    return kept
  }

  async #step(step: Step): Promise<number[]> {
    switch (step.kind) {
      case 'write':
        await this.#write(step.layer, step.part)
        if (this.#begun) await this.#app.shared.afterCommit(() => void this.#told.push(step.part))
        return [step.part]
      case 'stream':
        await this.#stream(step.rows, step.asking)
        return []
      case 'nap':
        await this.#app.pool.query('select pg_sleep(0.004)')
        return []
      case 'swallowed-failure':
        await this.#write(step.layer, null).catch(() => {})
        return []
      case 'apart':
        await makeRequest(this.#app, step.plan, this.#onReport)
        return []
      case 'block':
        return this.#nested(step)
      case 'together':
        return this.#together(step)
      default:
        return step satisfies never
    }
  }

  async #nested(step: Extract<Step, { kind: 'block' }>): Promise<number[]> {
    try {
      const loose: Loose = []
      const kept = await this.#block(step.layer, async () => {
        const done = await this.#steps(step.steps, loose)
        if (step.throws) throw new Refusal()
        return done
      })
      return [...kept, ...(await partsOf(loose))]
    } catch {
      return []
    }
  }

  async #together({ steps, all }: Extract<Step, { kind: 'together' }>): Promise<number[]> {
    const running = steps.map((step) => this.#step(step))
    if (all) return (await Promise.all(running)).flat()
    const settled = await Promise.allSettled(running)
    for (const result of settled) if (result.status === 'rejected') throw result.reason
    return settled.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
  }

  async #block<T>(layer: Layer | 'apart', fn: () => Promise<T>): Promise<T> {
    const { orm, db, shared } = this.#app
    if (layer === 'drizzle') return orm.transaction(() => fn())
    if (layer === 'kysely') return db.transaction().execute(() => fn())
    const propagation = layer === 'apart' ? 'requires-new' : 'nested'
    return shared.transaction(() => fn(), { propagation })
  }

  async #write(layer: Layer, part: number | null): Promise<void> {
    const { orm, db, pool } = this.#app
    const row = { id: this.#plan.id, part: part as number, slow: this.#plan.slow }
    if (layer === 'drizzle') await orm.insert(works).values(row)
    else if (layer === 'kysely') await db.insertInto('work').values(row).execute()
    else await pool.query('insert into work values ($1, $2, $3)', [row.id, row.part, row.slow])
  }

  async #stream(rows: number, asking: Layer): Promise<void> {
    const { orm, db, pool } = this.#app
    let seen = 0
    const written = db.selectFrom('work').select('part').where('id', '=', this.#plan.id)
    for await (const _ of written.stream(1)) {
      if (++seen === rows) break
      if (asking === 'drizzle') await orm.execute('select 1')
      else if (asking === 'kysely') await db.selectNoFrom((eb) => eb.lit(1).as('one')).execute()
      else await pool.query('select 1')
    }
  }
}

/** The parts that blocks have committed. They end before the block around them. */
async function partsOf(loose: Loose): Promise<number[]> {
  return (await Promise.all(loose)).flat()
}
