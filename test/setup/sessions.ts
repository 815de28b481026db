import { setImmediate } from 'node:timers/promises'
import type { App } from './app.ts'

/** Ends the session of the pool's only client, and waits until the application has noticed. */
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

/** Runs `fn` while `LOCK` must wait, until `fn` releases it. */
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

/** Resolves when `LOCK` waits on the server. */
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

/** Cancels the statement that sleeps in `pg_sleep`, or ends its session, from another connection. */
export async function interruptSleep(
  app: App,
  how: 'pg_cancel_backend' | 'pg_terminate_backend',
): Promise<void> {
  await app.observer.query(
    `select ${how}(pid) from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep'`,
  )
}
