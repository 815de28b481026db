import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CHANNELS, type QueryEvent } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()

const request = new AsyncLocalStorage<string>()
const name = `tracing:${CHANNELS.query}:start`
let started: [string | undefined, string][] = []
const onStart = (event: unknown): void => {
  const { control, sql, parameters } = event as QueryEvent
  started.push([request.getStore(), control === undefined ? String(parameters[0]) : sql])
}

beforeEach(() => {
  started = []
  subscribe(name, onStart)
})
afterEach(() => unsubscribe(name, onStart))

describe.each(speakers)('a statement of $name', (speaker) => {
  test('starts in the context of its caller', async () => {
    await request.run('caller', async () => {
      await speaker.note(app, 'a')
    })
    expect(started).toEqual([['caller', 'a']])
    expect(app.transcript.lines()).toEqual(['insert a'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('starts there also when it has to wait for its turn', async () => {
    await speaker.block(app, async () => {
      const write = (text: string) =>
        request.run(text, async () => {
          await speaker.note(app, text)
        })
      await Promise.all([
        app.orm.transaction(async (inner) => {
          await request.run('nested', async () => {
            await inner.insert(notes).values({ text: 'nested' })
          })
        }),
        write('b'),
        write('c'),
      ])
    })
    for (const expected of ['b', 'c', 'nested']) {
      expect(started).toContainEqual([expected, expected])
    }
    expect(app.transcript.lines().at(-1)).toBe('commit')
    expect((await app.rows()).toSorted()).toEqual(['b', 'c', 'nested'])
  })

  test('starts at the call, before the statement is sent', async () => {
    let seq: unknown = 'not started'
    const onFirst = (event: unknown): void => {
      seq = (event as QueryEvent).seq
    }
    subscribe(name, onFirst)
    try {
      await speaker.note(app, 'a')
    } finally {
      unsubscribe(name, onFirst)
    }
    expect(seq).toBeUndefined()
    expect(app.transcript.events()[0]?.seq).toBeGreaterThan(0)
    expect(app.transcript.lines()).toEqual(['insert a'])
    expect(await app.rows()).toEqual(['a'])
  })
})

test('the context of a request is the same through a whole transaction', async () => {
  await request.run('request', () =>
    app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await app.db
        .transaction()
        .execute((trx) => trx.insertInto('note').values({ text: 'b' }).execute())
    }),
  )
  expect(started.map(([context]) => context)).toEqual(Array.from(started, () => 'request'))
  expect(started).toHaveLength(app.transcript.lines().length)
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'savepoint sp1',
    'insert b',
    'commit',
  ])
  expect(await app.rows()).toEqual(['a', 'b'])
})
