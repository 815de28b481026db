import { setImmediate } from 'node:timers/promises'
import type { App } from '../setup/app.ts'

/** A promise that a test opens by hand. */
export interface Gate {
  readonly passed: Promise<void>
  open(): void
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { passed: promise, open: () => resolve() }
}

/** Lets everything run that waits for no input. */
export async function breathe(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await setImmediate()
}

/** How promises have settled, in a word each. */
export async function outcomes(promises: readonly unknown[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map((result) =>
    result.status === 'fulfilled' ? 'kept' : (result.reason as Error).message,
  )
}

/** What went over the wire between each savepoint and its end, and its end, in the order of the wire. */
export function savepointsOf(lines: readonly string[]): string[][] {
  const blocks: string[][] = []
  let block: string[] | undefined
  for (const line of lines) {
    if (line.startsWith('savepoint')) {
      block = []
      blocks.push(block)
    } else if (line.startsWith('insert')) block?.push(line)
    else {
      if (line.startsWith('rollback to')) block?.push('rollback')
      block = undefined
    }
  }
  return blocks
}

/** The same blocks in an order that does not depend on who came first. */
export function inOrder(blocks: readonly string[][]): string[][] {
  return blocks.toSorted((one, other) => (one.join() < other.join() ? -1 : 1))
}

/** Ends the session behind the pool's only client, and waits until the process knows. */
export async function endSession(app: App, processID: number): Promise<void> {
  await app.observer.query('select pg_terminate_backend($1)', [processID])
  while (app.shared.inTransaction) await setImmediate()
}

/** Waits until a session of the application sleeps in `pg_sleep`. */
export async function sleeping(app: App): Promise<void> {
  await untilOneWaits(app, 'PgSleep')
}

/** A statement that waits for as long as `whileLocked` says. */
export const LOCK = 'select pg_advisory_xact_lock(1)'

/** Runs `fn` while `LOCK` has to wait, until `fn` lets it go on. */
export async function whileLocked(
  app: App,
  fn: (letGo: () => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  const holder = await app.observer.connect()
  const letGo = (): Promise<unknown> => holder.query('select pg_advisory_unlock_all()')
  try {
    await holder.query('select pg_advisory_lock(1)')
    await fn(letGo)
  } finally {
    await letGo()
    holder.release()
  }
}

/** Waits until `LOCK` waits on the server. */
export async function locked(app: App): Promise<void> {
  await untilOneWaits(app, 'advisory')
}

async function untilOneWaits(app: App, event: 'PgSleep' | 'advisory'): Promise<void> {
  for (;;) {
    const { rows } = await app.observer.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = $1`,
      [event],
    )
    if (rows.length > 0) return
    await setImmediate()
  }
}

/** Cancels what sleeps in `pg_sleep` for the application, or ends its session, from outside. */
export async function interruptSleep(
  app: App,
  how: 'pg_cancel_backend' | 'pg_terminate_backend',
): Promise<void> {
  await app.observer.query(
    `select ${how}(pid) from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep'`,
  )
}
