import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate } from 'node:timers/promises'
import { CHANNELS, type TransactionEvent } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { manners, speakers, worlds } from '../setup/worlds.ts'

const boom = new Error('boom')

/** The published events: the moment, and a copy of the event at that time. */
let seen: { moment: string; event: TransactionEvent }[] = []
let story: string[] = []
const moments = ['start', 'end', 'error', 'asyncStart', 'asyncEnd'] as const
const listeners = moments.map((moment) => {
  const listener = (event: unknown): void => {
    seen.push({ moment, event: { ...(event as TransactionEvent) } })
    story.push(`transaction ${moment}`)
  }
  return [`tracing:${CHANNELS.transaction}:${moment}`, listener] as const
})

beforeEach(() => {
  seen = []
  story = []
  for (const [name, listener] of listeners) subscribe(name, listener)
})
afterEach(() => {
  for (const [name, listener] of listeners) unsubscribe(name, listener)
})

const outcomes = () =>
  seen.filter(({ moment }) => moment === 'asyncEnd').map(({ event }) => event.outcome)

// Subscribers of the query channel must not make a difference.
describe.each(manners)('$name', ({ options }) => {
  const app = useApp(options)

  test.each(worlds)(
    'in $name one event covers the time from start to outcome',
    async ({ outer, inner }) => {
      let id: number | undefined
      await outer.block(app, async () => {
        id = app.shared.current?.id
        expect(seen.map(({ moment }) => moment)).toEqual(['start', 'end'])
        await outer.note(app, 'a')
        await inner.block(app, () => inner.note(app, 'b'))
      })
      expect(seen.map(({ moment }) => moment)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
      expect(seen.at(-1)?.event).toMatchObject({
        transaction: id,
        holder: outer.name,
        outcome: 'committed',
        error: undefined,
      })
      expect(seen.at(-1)?.event.duration).toBeGreaterThan(0)
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines().at(-1)).toBe('commit')
    },
  )
})

describe('the transaction channel', () => {
  const app = useApp({ shared: { name: 'main' } })

  test.each(speakers)('reports a transaction of $name that sent nothing', async (speaker) => {
    await speaker.block(app, async () => {})
    expect(seen.map(({ moment }) => moment)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    expect(seen[0]?.event).toMatchObject({
      database: 'main',
      holder: speaker.name,
      outcome: undefined,
    })
    expect(outcomes()).toEqual(['committed'])
    expect(app.transcript.lines()).toEqual([])
  })

  test.each(speakers)('reports the outcome of $name before any hook runs', async (speaker) => {
    await speaker.block(app, async () => {
      await app.db.beforeCommit(() => void story.push('beforeCommit'))
      await app.db.afterCommit(() => void story.push('afterCommit'))
      await speaker.note(app, 'a')
    })
    await speaker
      .block(app, async () => {
        await app.db.afterRollback(() => void story.push('afterRollback'))
        await speaker.note(app, 'b')
        throw boom
      })
      .catch(() => {})
    expect(story).toEqual([
      'transaction start',
      'transaction end',
      'beforeCommit',
      'transaction asyncStart',
      'transaction asyncEnd',
      'afterCommit',
      'transaction start',
      'transaction end',
      'transaction asyncStart',
      'transaction asyncEnd',
      'afterRollback',
    ])
    expect(outcomes()).toEqual(['committed', 'rolled-back'])
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert b',
      'rollback',
    ])
  })

  test.each(speakers)('reports why $name was rolled back by the server', async (speaker) => {
    await speaker
      .block(app, async () => {
        await speaker.note(app, 'a')
        await app.pool.query('select 1 / 0').catch(() => {})
      })
      .catch(() => {})
    expect(outcomes()).toEqual(['rolled-back'])
    expect(seen.map(({ moment }) => moment)).toContain('error')
    expect(seen.at(-1)?.event.error).toBeInstanceOf(Error)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'commit'])
    expect(await app.rows()).toEqual([])
  })

  test.each(speakers)('reports $name once on a connection that was killed', async (speaker) => {
    await speaker
      .block(app, async () => {
        await speaker.note(app, 'a')
        const pid = app.transcript.events().at(-1)?.processID
        await app.observer.query('select pg_terminate_backend($1)', [pid])
        while (app.shared.inTransaction) await setImmediate()
      })
      .catch(() => {})
    expect(outcomes()).toEqual(['rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a'])
    expect(await app.rows()).toEqual([])
  })

  test('reports a controlled transaction, however it ends', async () => {
    const first = await app.db.startTransaction().execute()
    await first.insertInto('note').values({ text: 'a' }).execute()
    await first.commit().execute()
    const second = await app.db.startTransaction().execute()
    await second.insertInto('note').values({ text: 'b' }).execute()
    await second.rollback().execute()
    expect(outcomes()).toEqual(['committed', 'rolled-back'])
    expect(seen.at(-1)?.event.holder).toBe('kysely')
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert b',
      'rollback',
    ])
    expect(await app.rows()).toEqual(['a'])
  })

  test('reports a transaction that was opened manually', async () => {
    const client = await app.pool.connect()
    await client.query('begin')
    await client.query('insert into note (text) values ($1)', ['a'])
    await client.query('rollback')
    client.release()
    expect(outcomes()).toEqual(['rolled-back'])
    expect(seen.at(-1)?.event.holder).toBe('pg')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('distinguishes transactions that are open at the same time', async () => {
    await Promise.all(
      ['a', 'b'].map((text) =>
        app.orm.transaction(() => app.db.insertInto('note').values({ text }).execute()),
      ),
    )
    const ended = seen.filter(({ moment }) => moment === 'asyncEnd').map(({ event }) => event)
    expect(new Set(ended.map(({ transaction }) => transaction)).size).toBe(2)
    expect(new Set(ended.map(({ connection }) => connection)).size).toBe(2)
    expect((await app.rows()).toSorted()).toEqual(['a', 'b'])
    expect(app.transcript.lines().toSorted()).toEqual([
      'begin',
      'begin',
      'commit',
      'commit',
      'insert a',
      'insert b',
    ])
  })
})
