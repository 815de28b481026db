import { setImmediate } from 'node:timers/promises'
import { TransactionAbortedError, TransactionOutcomeUnknownError } from 'shared-connection'
import { beforeAll, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp()

const boom = new Error('boom')

/** Registers one hook of each kind. */
async function register(ran: string[]): Promise<void> {
  await app.db.beforeCommit(() => void ran.push('before'))
  await app.db.afterCommit(() => void ran.push('commit'))
  await app.db.afterRollback(() => void ran.push('rollback'))
  await app.db.afterCompletion((outcome) => void ran.push(outcome))
}

async function kill(): Promise<void> {
  const pid = app.transcript.events().at(-1)?.processID
  await app.observer.query('select pg_terminate_backend($1)', [pid])
  while (app.shared.inTransaction) await setImmediate()
}

beforeAll(async () => {
  // A row with this text ends its session during COMMIT.
  await app.observer.query(`
    create function end_session() returns trigger language plpgsql as $$
      begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return null; end $$;
    create constraint trigger end_session after insert on note deferrable initially deferred
      for each row when (new.text = 'fatal') execute function end_session()`)
})

describe.each(speakers)('a transaction of $name', (speaker) => {
  test('whose connection was lost during COMMIT has an unknown outcome: only afterCompletion runs', async () => {
    const ran: string[] = []
    const error = await speaker
      .block(app, async () => {
        await register(ran)
        await speaker.note(app, 'fatal')
      })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionOutcomeUnknownError)
    expect(ran).toEqual(['before', 'unknown'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert fatal', 'commit'])
    expect(await app.rows()).toEqual([])
  })

  test('rejects with that error before one of afterCompletion', async () => {
    const error = await speaker
      .block(app, async () => {
        await app.db.afterCompletion(() => Promise.reject(boom))
        await speaker.note(app, 'fatal')
      })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      name: 'TransactionOutcomeUnknownError',
      suppressed: [{ name: 'HookError', outcome: 'unknown', errors: [boom] }],
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert fatal', 'commit'])
    expect(await app.rows()).toEqual([])
  })

  test('whose connection was lost before COMMIT is rolled back, and its hooks can query', async () => {
    const ran: string[] = []
    const error = await speaker
      .block(app, async () => {
        await register(ran)
        await app.db.afterRollback(() => speaker.note(app, 'of the hook'))
        await speaker.note(app, 'a')
        await kill()
      })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(error).toHaveProperty('cause')
    expect(ran).toEqual(['rollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert of the hook'])
    expect(await app.rows()).toEqual(['of the hook'])
  })

  test('whose connection was lost, and which then fails, rejects with its own error', async () => {
    const ran: string[] = []
    await expect(
      speaker.block(app, async () => {
        await register(ran)
        await speaker.note(app, 'a')
        await kill()
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(ran).toEqual(['rollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a'])
    expect(await app.rows()).toEqual([])
  })
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a connection that is lost inside a savepoint runs the rollback hooks of both frames once', async () => {
    const ran: string[] = []
    const error = await outer
      .block(app, async () => {
        await register(ran)
        await outer.note(app, 'a')
        await inner.block(app, async () => {
          await app.db.afterRollback(() => void ran.push('rollback of the savepoint'))
          await app.db.afterCommit(() => void ran.push('commit of the savepoint'))
          await inner.note(app, 'b')
          await kill()
        })
      })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(ran.toSorted()).toEqual(['rollback', 'rollback of the savepoint', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'savepoint sp1', 'insert b'])
    expect(await app.rows()).toEqual([])
  })
})
