import { setTimeout } from 'node:timers/promises'
import { TransactionAbortedError, TransactionOutcomeUnknownError } from 'shared-connection'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers, worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'
import { endSession } from '../setup/sessions.ts'

const app = useApp({ pool: { max: 1 } })
let processID = 0

beforeAll(async () => {
  // COMMIT of a note with this text takes its time
  await app.observer.query(`
    create function nap() returns trigger language plpgsql as $$
      begin perform pg_sleep(2); return null; end $$;
    create constraint trigger nap after insert on note deferrable initially deferred
      for each row when (new.text = 'slow') execute function nap()`)
})

beforeEach(async () => {
  processID = await warmUp()
})

/** Makes sure that there is a session, and returns its process id. */
async function warmUp(): Promise<number> {
  const { rows } = await app.pool.query<{ pid: number }>('select pg_backend_pid() as pid')
  app.transcript.clear()
  return rows[0]?.pid as number
}

async function register(ran: string[]): Promise<void> {
  await app.shared.afterCommit(() => void ran.push('commit'))
  await app.shared.afterRollback(() => void ran.push('rollback'))
  await app.shared.afterCompletion((outcome) => void ran.push(outcome))
}

/** The pool has its size back, and the next request works on a new session. */
async function nextRequestWorks(speaker: Speaker): Promise<void> {
  expect(app.pool.totalCount).toBe(app.pool.idleCount)
  await speaker.block(app, () => speaker.note(app, 'next'))
  expect(app.pool.totalCount).toBe(1)
  expect(await warmUp()).not.toBe(processID)
}

describe.each(speakers)('a transaction of $name whose session ends', (speaker) => {
  test('before BEGIN was sent is rolled back', async () => {
    const ran: string[] = []
    const error = await failureOf(
      speaker.block(app, async () => {
        await register(ran)
        await endSession(app, processID)
        await speaker.note(app, 'a')
      }),
    )
    expect(error.message).toContain('was lost with its connection')
    expect(ran).toEqual(['rollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual([])
    await nextRequestWorks(speaker)
    expect(await app.rows()).toEqual(['next'])
  })

  test('between two statements is rolled back, though the error was swallowed', async () => {
    const ran: string[] = []
    const error = await failureOf(
      speaker.block(app, async () => {
        await register(ran)
        await speaker.note(app, 'a')
        await endSession(app, processID)
        await failureOf(Promise.resolve(speaker.note(app, 'b')))
      }),
    )
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(ran).toEqual(['rollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a'])
    await nextRequestWorks(speaker)
    expect(await app.rows()).toEqual(['next'])
  })

  test('during a statement whose error was swallowed is rolled back, and that is certain', async () => {
    const ran: string[] = []
    const error = await failureOf(
      speaker.block(app, async () => {
        await register(ran)
        await speaker.note(app, 'a')
        await failureOf(app.pool.query('select pg_terminate_backend(pg_backend_pid())'))
      }),
    )
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(ran).toEqual(['rollback', 'rolled-back'])
    expect(app.transcript.lines().slice(0, 3)).toEqual(['begin', 'insert a', 'select'])
    await nextRequestWorks(speaker)
    expect(await app.rows()).toEqual(['next'])
  })

  test('during the statement that BEGIN is piggybacked on is rolled back', async () => {
    const ran: string[] = []
    const error = await failureOf(
      speaker.block(app, async () => {
        await register(ran)
        await app.pool.query('select pg_terminate_backend(pg_backend_pid())')
      }),
    )
    expect(error).toMatchObject({ code: '57P01' })
    expect(ran).toEqual(['rollback', 'rolled-back'])
    await nextRequestWorks(speaker)
    expect(await app.rows()).toEqual(['next'])
    expect(app.transcript.lines()).not.toContain('commit')
  })

  test('just before COMMIT is never reported as committed', async () => {
    const ran: string[] = []
    const error = await failureOf(
      speaker.block(app, async () => {
        await register(ran)
        await speaker.note(app, 'a')
        await app.observer.query('select pg_terminate_backend($1)', [processID])
      }),
    )
    expect(['TransactionAbortedError', 'TransactionOutcomeUnknownError']).toContain(error.name)
    expect(ran).not.toContain('commit')
    expect(ran).not.toContain('committed')
    expect(app.transcript.lines().slice(0, 2)).toEqual(['begin', 'insert a'])
    await nextRequestWorks(speaker)
    expect(await app.rows()).toEqual(['next'])
  })

  test('during COMMIT has an unknown outcome', async () => {
    const ran: string[] = []
    const ending = failureOf(
      speaker.block(app, async () => {
        await register(ran)
        await speaker.note(app, 'slow')
      }),
    )
    await sleeping()
    await app.observer.query('select pg_terminate_backend($1)', [processID])
    expect(await ending).toBeInstanceOf(TransactionOutcomeUnknownError)
    expect(ran).toEqual(['unknown'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert slow', 'commit'])
    await nextRequestWorks(speaker)
    expect(await app.rows()).toEqual(['next'])
  })
})

/** Waits until COMMIT has come as far as the trigger. */
async function sleeping(): Promise<void> {
  for (;;) {
    const { rows } = await app.observer.query(
      `select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'`,
      [processID],
    )
    if (rows.length > 0) return
    await setTimeout(5)
  }
}

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a waiting sibling and a waiting COMMIT reject when the session ends', async () => {
    const opened = gate()
    const ended = gate()
    const nested: Promise<Error>[] = []
    const failing = failureOf(
      outer.block(app, async () => {
        await outer.note(app, 'p')
        nested.push(
          failureOf(
            inner.block(app, async () => {
              await inner.note(app, 'a')
              opened.open()
              await ended.passed
            }),
          ),
        )
        await opened.passed
        nested.push(failureOf(inner.block(app, () => inner.note(app, 'b'))))
      }),
    )
    await opened.passed
    await setTimeout(5)
    await app.observer.query('select pg_terminate_backend($1)', [processID])
    expect((await failing).name).toBe('TransactionAbortedError')
    ended.open()
    const names = (await Promise.all(nested)).map(({ name }) => name)
    expect(names).toEqual(['TransactionAbortedError', 'TransactionClosedError'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert p', 'savepoint sp1', 'insert a'])
    await nextRequestWorks(outer)
    expect(await app.rows()).toEqual(['next'])
  })
})

test('a client of pool.connect() that loses its session does not end the process', async () => {
  const client = await app.pool.connect()
  await client.query('select 1')
  await app.observer.query('select pg_terminate_backend($1)', [processID])
  expect(await failureOf(client.query('select pg_sleep(1)'))).toBeInstanceOf(Error)
  client.release()
  expect(app.pool.totalCount).toBe(0)
  await nextRequestWorks(speakers[0])
  expect(await app.rows()).toEqual(['next'])
})
