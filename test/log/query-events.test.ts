import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { type Speaker, speakers, worlds } from '../setup/worlds.ts'

const app = useApp({ shared: { name: 'main' } })

const layerOf = ({ name }: Speaker) => (name === 'shared' ? 'pg' : name)

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('an event contains the layer, the transaction and the savepoint', async () => {
    let id: number | undefined
    await outer.block(app, async () => {
      id = app.shared.current?.id
      await outer.note(app, 'a')
      await inner.block(app, () => inner.note(app, 'b'))
    })
    await inner.note(app, 'c')
    const here = { database: 'main', transaction: id, holder: outer.name }
    expect(app.transcript.events()).toEqual(
      [
        {
          ...here,
          control: 'begin',
          layer: outer.name,
          depth: 1,
          savepoint: undefined,
          piggybacked: true,
        },
        { ...here, control: undefined, layer: layerOf(outer), depth: 1, piggybacked: false },
        {
          ...here,
          control: 'savepoint',
          layer: inner.name,
          depth: 2,
          savepoint: 'sp1',
          piggybacked: true,
        },
        { ...here, control: undefined, layer: layerOf(inner), depth: 2, savepoint: 'sp1' },
        { ...here, control: 'commit', layer: outer.name, depth: 1, piggybacked: false },
        {
          database: 'main',
          transaction: undefined,
          holder: undefined,
          layer: layerOf(inner),
          depth: 0,
          savepoint: undefined,
          piggybacked: false,
        },
      ].map((event) => expect.objectContaining(event)),
    )
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
      'insert c',
    ])
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test('events of one connection do not overlap, and seq is their order', async () => {
    await outer.block(app, async () => {
      await Promise.all([
        outer.note(app, 'a'),
        inner.block(app, () => inner.note(app, 'b')),
        outer.note(app, 'c'),
        inner.note(app, 'd'),
      ])
    })
    const events = app.transcript.events()
    const order = events.map(({ seq }) => seq ?? 0)
    expect(new Set(order).size).toBe(events.length)
    expect(new Set(events.map(({ connection }) => connection)).size).toBe(1)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'c', 'd'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })
})

describe.each(speakers)('a statement of $name', (speaker) => {
  test('has an event with its values, its tag, its rows and its connection', async () => {
    await speaker.note(app, 'a')
    const [event] = app.transcript.events()
    const { rows } = await app.observer.query(
      `select pid from pg_stat_activity where datname = current_database() and pid = $1`,
      [event?.processID],
    )
    expect(rows).toHaveLength(1)
    expect(event).toMatchObject({
      parameters: ['a'],
      command: 'INSERT',
      rowCount: 1,
      error: undefined,
      sqlstate: undefined,
      statementName: undefined,
    })
    expect(event?.sql).toMatch(/^insert into "?note/)
    expect(event?.duration).toBeGreaterThan(0)
    expect(event?.queueWait).toBeGreaterThanOrEqual(0)
    expect(event?.connection).toBeGreaterThan(0)
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['insert a'])
  })

  test('that fails is one event, with its error', async () => {
    await speaker.note(app, 'a')
    app.transcript.clear()
    await speaker
      .block(app, async () => {
        await speaker.note(app, 'a')
      })
      .catch(() => {})
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    const [, failed] = app.transcript.events()
    expect(failed).toMatchObject({
      sqlstate: '23505',
      error: { code: '23505', constraint: 'note_text_key' },
      command: undefined,
    })
    expect(await app.rows()).toEqual(['a'])
  })

  test('that has to wait has separate times for the wait and the answer', async () => {
    await app.orm.transaction(async (tx) => {
      const slow = tx.transaction(() => app.pool.query('select pg_sleep(0.3)'))
      await Promise.all([slow, speaker.block(app, () => speaker.note(app, 'a'))])
    })
    const insert = app.transcript.events().find(({ parameters }) => parameters.includes('a'))
    const sleep = app.transcript.events().find(({ sql }) => sql.includes('pg_sleep'))
    expect(sleep?.duration).toBeGreaterThan(290)
    expect(insert?.duration).toBeLessThan(290)
    expect(app.transcript.lines().filter((line) => line.startsWith('insert'))).toEqual(['insert a'])
    expect(await app.rows()).toEqual(['a'])
  })
})

test('the event of a statement that waits for its turn contains the time', async () => {
  await app.orm.transaction(async (tx) => {
    const slow = app.pool.query('select pg_sleep(0.3)')
    // This one is issued later, or both would be pipelined.
    await setImmediate()
    await Promise.all([slow, tx.insert(notes).values({ text: 'a' })])
  })
  const insert = app.transcript.events().find(({ parameters }) => parameters.includes('a'))
  expect(insert?.queueWait).toBeGreaterThan(150)
  expect(insert?.duration).toBeLessThan(290)
  expect(await app.rows()).toEqual(['a'])
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'insert a', 'commit'])
})

test('the event of a prepared statement contains its name', async () => {
  const prepared = app.orm.insert(notes).values({ text: 'a' }).prepare('insert_note')
  await app.orm.transaction(() => prepared.execute())
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  expect(app.transcript.events()[1]).toMatchObject({
    statementName: 'insert_note',
    layer: 'drizzle',
    depth: 1,
  })
  expect(await app.rows()).toEqual(['a'])
})
