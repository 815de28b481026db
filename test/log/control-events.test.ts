import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CHANNELS, type QueryEvent } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()

const boom = new Error('boom')

describe('control statements', () => {
  test('that were dropped have no event at all', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.transaction(async () => {})
      await tx.insert(notes).values({ text: 'a' })
      await tx.transaction((inner) => inner.insert(notes).values({ text: 'b' }))
    })
    await app.orm.transaction(async () => {})
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
    expect(app.transcript.events().map(({ piggybacked }) => piggybacked)).toEqual([
      true,
      false,
      true,
      false,
      false,
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('that are piggybacked on a statement of the other layer belong to the layer that opened them', async () => {
    await app.orm.transaction(() => app.db.insertInto('note').values({ text: 'a' }).execute())
    expect(app.transcript.events().map(({ layer, piggybacked }) => [layer, piggybacked])).toEqual([
      ['drizzle', true],
      ['kysely', false],
      ['drizzle', false],
    ])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('contain the modes that they were sent with', async () => {
    await expect(
      app.shared.transaction(() => app.db.insertInto('note').values({ text: 'a' }).execute(), {
        accessMode: 'read only',
        isolationLevel: 'serializable',
        deferrable: true,
      }),
    ).rejects.toMatchObject({ code: '25006' })
    expect(app.transcript.lines()).toEqual([
      'begin isolation level serializable read only deferrable',
      'insert a',
      'rollback',
    ])
    expect(app.transcript.events()[1]).toMatchObject({ sqlstate: '25006' })
    expect(await app.rows()).toEqual([])
  })

  test('are reported with their kind', async () => {
    await app.orm
      .transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        await tx
          .transaction(async (inner) => {
            await inner.insert(notes).values({ text: 'b' })
            throw boom
          })
          .catch(() => {})
        await tx.transaction((inner) => inner.insert(notes).values({ text: 'c' }))
        await tx.insert(notes).values({ text: 'd' })
        throw boom
      })
      .catch(() => {})
    expect(app.transcript.events().map(({ control }) => control)).toEqual([
      'begin',
      undefined,
      'savepoint',
      undefined,
      'rollback-to',
      'release',
      'savepoint',
      undefined,
      'release',
      undefined,
      'rollback',
    ])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toContain('rollback to savepoint sp1')
  })
})

describe('the moments of a statement', () => {
  const moments = ['start', 'end', 'error', 'asyncStart', 'asyncEnd'] as const
  let seen: [string, QueryEvent][] = []
  const listeners = moments.map((moment) => {
    const listener = (event: unknown) => void seen.push([moment, event as QueryEvent])
    return [`tracing:${CHANNELS.query}:${moment}`, listener] as const
  })
  beforeEach(() => {
    seen = []
    for (const [name, listener] of listeners) subscribe(name, listener)
  })
  afterEach(() => {
    for (const [name, listener] of listeners) unsubscribe(name, listener)
  })

  test.each(speakers)(
    'are those of a tracing channel, with one object, for $name',
    async (speaker) => {
      await speaker.note(app, 'a')
      expect(seen.map(([moment]) => moment)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
      expect(new Set(seen.map(([, event]) => event)).size).toBe(1)
      seen = []
      await Promise.resolve(speaker.note(app, 'a')).catch(() => {})
      expect(seen.map(([moment]) => moment)).toEqual([
        'start',
        'end',
        'error',
        'asyncStart',
        'asyncEnd',
      ])
      expect(await app.rows()).toEqual(['a'])
      expect(app.transcript.lines()).toEqual(['insert a', 'insert a'])
    },
  )
})
