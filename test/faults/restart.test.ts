import { setImmediate } from 'node:timers/promises'
import { TransactionAbortedError } from 'shared-connection'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, type Postgres, startPostgres } from '../postgres/index.ts'
import { type App, startApp } from '../setup/app.ts'
import { CREATE_TABLES } from '../setup/schema.ts'
import { speakers } from '../setup/worlds.ts'
import { expectTold, lossIn, reportOf, until } from './support.ts'

const isOurs = !process.env['DATABASE_URL']
if (!isOurs) {
  console.warn(
    'DATABASE_URL is set, and its server is not ours to crash: every test of faults/restart.test.ts is skipped.',
  )
}

describe.skipIf(!isOurs)('a server that crashes, and comes back', () => {
  let server: Postgres
  let app: App

  beforeAll(async () => {
    server = await startPostgres()
    const { url } = await freshDatabase(server.url)
    // A transaction that is reported as committed must survive the crash.
    const durable = `${url}?options=${encodeURIComponent('-c synchronous_commit=on')}`
    app = await startApp({ url: durable, urlForApps: durable })
    // pg emits the loss of idle clients on the pool.
    for (const pool of [app.pool, app.observer]) pool.on('error', () => {})
    // COMMIT of a note with this text is slow.
    await app.observer.query(`
      ${CREATE_TABLES};
      create function nap() returns trigger language plpgsql as $$
        begin perform pg_sleep(600); return null; end $$;
      create constraint trigger nap after insert on note deferrable initially deferred
        for each row when (new.text = 'slow') execute function nap()`)
  }, 60_000)

  afterAll(async () => {
    app.transcript.stop()
    app.shared.dispose()
    await app.pool.end()
    await app.observer.end()
    await server.stop()
  })

  /** Kills one backend. The server then ends all others, and recovers. */
  async function crash(): Promise<void> {
    const victim = await app.observer.connect()
    const { rows } = await victim.query<{ pid: number }>('select pg_backend_pid() as pid')
    victim.on('error', () => {})
    process.kill(rows[0]?.pid as number, 'SIGKILL')
    victim.release(true)
  }

  async function isUp(): Promise<boolean> {
    return app.observer.query('select 1').then(
      () => true,
      () => false,
    )
  }

  test.each(speakers)(
    'loses what $name had not committed, and rejects',
    async (speaker) => {
      await until(isUp)
      await app.observer.query('delete from note')
      await speaker.block(app, () => speaker.note(app, 'before'))
      app.transcript.clear()

      const idling = reportOf(app, speaker, async () => {
        await speaker.note(app, 'idle')
        while (app.shared.inTransaction) await setImmediate()
      })
      const working = reportOf(app, speaker, async () => {
        await speaker.note(app, 'working')
        await app.pool.query('select pg_sleep(600)')
      })
      const committing = reportOf(app, speaker, () => speaker.note(app, 'slow'))
      // Each stays in this state, unlike a transaction that is idle between two statements.
      await until(async () => {
        const { rows } = await app.observer.query(`
          select count(*) filter (where wait_event = 'PgSleep')::int as sleeping,
            count(*) filter (where state = 'idle in transaction' and query ilike 'insert%')::int as idle
          from pg_stat_activity where datname = current_database()`)
        return rows[0].sleeping === 2 && rows[0].idle === 1
      })
      await crash()

      const worked = await working
      expectTold(worked, 'rolled-back')
      expect(lossIn(worked.error)).toBeInstanceOf(Error)
      expectTold(await committing, 'unknown')
      const idled = await idling
      expectTold(idled, 'rolled-back')
      expect(idled.error).toBeInstanceOf(TransactionAbortedError)
      expect(app.transcript.lines().filter((line) => line === 'commit')).toEqual(['commit'])

      await until(isUp)
      expect(await app.rows()).toEqual(['before'])
      expect(app.pool.totalCount).toBe(app.pool.idleCount)
      await speaker.block(app, () => speaker.note(app, 'next'))
      expect(await app.rows()).toEqual(['before', 'next'])
      expect(app.pool.totalCount).toBe(1)
    },
    30_000,
  )
})
