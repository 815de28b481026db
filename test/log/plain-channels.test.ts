import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate } from 'node:timers/promises'
import {
  CHANNELS,
  type ConnectionEvent,
  type HookEvent,
  type NoticeEvent,
  type SavepointEvent,
} from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp({ shared: { name: 'main' } })

const boom = new Error('boom')

const { savepoint, acquire, release, hook, notice } = CHANNELS
let seen: { channel: string; event: object }[] = []
const listener = (event: unknown, channel: string | symbol): void => {
  seen.push({ channel: String(channel), event: event as object })
}
const eventsOn = <T>(name: string): T[] =>
  seen.filter(({ channel }) => channel === name).map(({ event }) => event as T)

beforeEach(() => {
  seen = []
  for (const name of [savepoint, acquire, release, hook, notice]) subscribe(name, listener)
})
afterEach(() => {
  for (const name of [savepoint, acquire, release, hook, notice]) unsubscribe(name, listener)
})

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a savepoint is reported when it opens and when it ends, even if nothing was sent', async () => {
    let id: number | undefined
    await outer.block(app, async () => {
      id = app.shared.current?.id
      await inner.block(app, async () => {})
      await inner
        .block(app, async () => {
          await outer.block(app, () => outer.note(app, 'a'))
          throw boom
        })
        .catch(() => {})
    })
    const of = (layer: string, name: string, depth: number, state: string): object => ({
      database: 'main',
      transaction: id,
      layer,
      name,
      depth,
      state,
    })
    expect(eventsOn<SavepointEvent>(savepoint)).toEqual([
      of(inner.name, 'sp1', 2, 'open'),
      of(inner.name, 'sp1', 2, 'released'),
      of(inner.name, 'sp1', 2, 'open'),
      of(outer.name, 'sp2', 3, 'open'),
      of(outer.name, 'sp2', 3, 'released'),
      of(inner.name, 'sp1', 2, 'rolled-back'),
    ])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'savepoint sp2',
      'insert a',
      'rollback to savepoint sp1',
      'commit',
    ])
    expect(await app.rows()).toEqual([])
  })
})

describe.each(speakers)('$name', (speaker) => {
  test('reports when a client is acquired and released, once for a transaction', async () => {
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await speaker.block(app, () => speaker.note(app, 'b'))
    })
    const [taken, ...others] = eventsOn<ConnectionEvent>(acquire)
    const [given] = eventsOn<ConnectionEvent>(release)
    expect(others).toEqual([])
    expect(taken).toMatchObject({ database: 'main', layer: speaker.name })
    expect(given).toEqual({ ...taken, discarded: false })
    expect(taken?.processID).toBe(app.transcript.events()[0]?.processID)
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('reports that for a single statement, too', async () => {
    await speaker.note(app, 'a')
    expect(seen.map(({ channel }) => channel)).toEqual([acquire, release])
    expect(app.transcript.lines()).toEqual(['insert a'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('reports that a broken client was closed instead of reused', async () => {
    await speaker
      .block(app, async () => {
        await speaker.note(app, 'a')
        const pid = app.transcript.events().at(-1)?.processID
        await app.observer.query('select pg_terminate_backend($1)', [pid])
        while (app.shared.inTransaction) await setImmediate()
      })
      .catch(() => {})
    expect(eventsOn<ConnectionEvent>(release)).toEqual([
      expect.objectContaining({ discarded: true }),
    ])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a'])
    expect(await app.rows()).toEqual([])
  })

  test('reports hooks that have run, and those that threw', async () => {
    let id: number | undefined
    await speaker
      .block(app, async () => {
        id = app.shared.current?.id
        await speaker.note(app, 'a')
        await app.db.afterCommit(() => {})
        await app.db.afterCommit(() => Promise.reject(boom))
        await app.db.afterRollback(() => {})
      })
      .catch(() => {})
    expect(eventsOn<HookEvent>(hook)).toEqual([
      { database: 'main', transaction: id, outcome: 'committed', count: 2, errors: [boom] },
    ])
    seen = []
    await speaker.block(app, () => speaker.note(app, 'b'))
    expect(eventsOn<HookEvent>(hook)).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert b',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('reports notices of the server', async () => {
    await speaker.block(app, () =>
      app.pool.query("do $$ begin raise notice 'mind the gap' using errcode = '01234'; end $$"),
    )
    expect(eventsOn<NoticeEvent>(notice)).toEqual([
      {
        database: 'main',
        connection: app.transcript.events()[0]?.connection,
        severity: 'NOTICE',
        code: '01234',
        message: 'mind the gap',
      },
    ])
    expect(app.transcript.lines()).toEqual(['begin', 'do', 'commit'])
  })
})
