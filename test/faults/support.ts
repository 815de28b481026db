import { setTimeout } from 'node:timers/promises'
import { TransactionOutcomeUnknownError } from 'shared-connection'
import { expect } from 'vitest'
import type { App } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, worlds } from '../setup/worlds.ts'

/** The error that user code throws. */
export const boom = new Error('boom')

/** Each layer outside, with another one inside. */
export const mixed = worlds.filter(
  ({ outer, inner }) => inner.name === (outer.name === 'kysely' ? 'drizzle' : 'kysely'),
)

/** Waits until the condition holds. Otherwise the test runs into its timeout. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await setTimeout(5)
}

/** Ensures that the pool of one has a session. Returns its process id. */
export async function session(app: App): Promise<number> {
  const { rows } = await app.pool.query<{ pid: number }>('select pg_backend_pid() as pid')
  app.transcript.clear()
  return rows[0]?.pid as number
}

async function isThere(app: App, pid: number, state: string): Promise<boolean> {
  const { rowCount } = await app.observer.query(
    `select from pg_stat_activity where pid = $1 and ${state}`,
    [pid],
  )
  return rowCount === 1
}

/** Waits until the server has ended the session, so that its effects are final. */
export async function gone(app: App, pid: number): Promise<void> {
  await until(async () => !(await isThere(app, pid, 'true')))
}

/** Waits until the statement of the session sleeps. */
export async function asleep(app: App, pid: number): Promise<void> {
  await until(() => isThere(app, pid, `wait_event = 'PgSleep'`))
}

/** Waits until the statement of the session waits for a lock. */
export async function blocked(app: App, pid: number): Promise<void> {
  await until(() => isThere(app, pid, `wait_event_type = 'Lock'`))
}

/** Waits until the session is idle, or has ended. */
export async function atRest(app: App, pid: number): Promise<void> {
  await until(async () => !(await isThere(app, pid, `state = 'active'`)))
}

/** Ends the session from outside, and waits until it has gone. */
export async function terminate(app: App, pid: number): Promise<void> {
  await app.observer.query('select pg_terminate_backend($1)', [pid])
  await gone(app, pid)
}

/** The end of a transaction, for its caller and for its hooks. */
export interface Report {
  /** Whether the block has registered its hooks. It has not if BEGIN was sent at once and failed. */
  readonly hasHooks: boolean
  readonly error: Error | undefined
  readonly hooks: readonly string[]
}

/** Runs a block that has a hook of each kind. */
export async function reportOf(
  app: App,
  speaker: Speaker,
  fn: () => Promise<unknown>,
): Promise<Report> {
  const hooks: string[] = []
  let hasHooks = false
  let error: Error | undefined
  try {
    await speaker.block(app, async () => {
      await app.shared.afterCommit(() => void hooks.push('afterCommit'))
      await app.shared.afterRollback(() => void hooks.push('afterRollback'))
      await app.shared.afterCompletion((outcome) => void hooks.push(outcome))
      hasHooks = true
      await fn()
    })
  } catch (reason) {
    error = await failureOf(Promise.reject(reason))
  }
  return { hasHooks, error, hooks }
}

/** Asserts that the promise of the transaction and its hooks report this outcome. */
export function expectTold(
  { hasHooks, error, hooks }: Report,
  outcome: 'committed' | 'rolled-back' | 'unknown',
): void {
  const isUnknown = error instanceof TransactionOutcomeUnknownError
  const told = error === undefined ? 'committed' : isUnknown ? 'unknown' : 'rolled-back'
  expect(told, String(error)).toBe(outcome)
  expect(hooks).toEqual(hasHooks ? HOOKS[outcome] : [])
}

const HOOKS = {
  committed: ['afterCommit', 'committed'],
  'rolled-back': ['afterRollback', 'rolled-back'],
  unknown: ['unknown'],
}

/** Finds the error about the lost connection among an error and its causes. */
export function lossIn(error: unknown): unknown {
  let cause = error
  while (cause instanceof Error && !isLoss(cause)) ({ cause } = cause)
  return cause
}

function isLoss(error: Error): boolean {
  const { code } = error as { code?: string }
  // A client that writes before it has noticed the end gets an error of its socket.
  const isOfSocket = code === 'ECONNRESET' || code === 'EPIPE'
  // 57P01 means terminated by an administrator.
  return isOfSocket || code === '57P01' || error.message.startsWith('Connection terminated')
}

/** Asserts that the pool of one is complete again, and that the next request works on a new session. */
export async function expectNextRequest(app: App, speaker: Speaker, lost: number): Promise<void> {
  expect(app.pool.totalCount).toBe(app.pool.idleCount)
  // It may be about to notice the end.
  await until(() => app.pool.totalCount === 0)
  await speaker.block(app, () => speaker.note(app, 'next'))
  expect(app.pool.totalCount).toBe(1)
  expect(app.pool.idleCount).toBe(1)
  expect(await session(app)).not.toBe(lost)
}
