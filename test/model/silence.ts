import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { CHANNELS, type NoticeEvent } from 'shared-connection'
import type { App } from '../setup/app.ts'

/** Events that must not happen while a program runs. */
export interface Silence {
  /** Stops listening. Returns the events. */
  broken(): Promise<string[]>
}

/** Listens for warnings of the server and for unhandled rejections. */
export function silence(): Silence {
  const heard: string[] = []
  const onNotice = (notice: unknown): void => {
    const { message, severity } = notice as NoticeEvent
    if (severity === 'WARNING') heard.push(`the server warned: ${message}`)
  }
  const onRejection = (reason: unknown): void => {
    heard.push(`a rejection was not handled: ${String(reason)}`)
  }
  subscribe(CHANNELS.notice, onNotice)
  process.on('unhandledRejection', onRejection)
  return {
    async broken() {
      // Node reports an unhandled rejection after all microtasks have run.
      await setImmediate()
      unsubscribe(CHANNELS.notice, onNotice)
      process.off('unhandledRejection', onRejection)
      return heard
    },
  }
}

/** The clients that a program has left in use, after those that are about to be released. */
export async function leftOf({ observer, pool }: App): Promise<string[]> {
  const inUse = (): number => pool.totalCount - pool.idleCount + pool.waitingCount
  for (let wait = 0; inUse() > 0 && wait < 100; wait++) await setTimeout(wait)
  const left = inUse() > 0 ? [`clients in use: ${inUse()}`] : []
  const { rows } = await observer.query<{ query: string }>(OPEN)
  for (const { query } of rows) left.push(`a transaction is open, behind ${query}`)
  // Otherwise later programs would see it, too.
  if (rows.length > 0) await observer.query(`select pg_terminate_backend(pid) from (${OPEN}) open`)
  return left
}

const OPEN = `select pid, query from pg_stat_activity
  where datname = current_database() and state like 'idle in transaction%'`
