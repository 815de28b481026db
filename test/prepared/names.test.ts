import { sql } from 'drizzle-orm'
import { Query, type QueryResult } from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })

/** A named statement that each layer sends in its own way. Kysely has none. */
const ways: Record<'drizzle' | 'pg', (name: string) => Promise<{ text: string }[]>> = {
  drizzle: async (name) => app.orm.select().from(notes).orderBy(notes.id).prepare(name).execute(),
  pg: async (name) => {
    const { rows } = await app.pool.query<{ text: string }>({
      name,
      text: 'select * from note order by id',
    })
    return rows
  },
}
const layers = Object.entries(ways)

/** A name for each test: what is prepared stays on the client. */
let name = ''
let tests = 0
beforeEach(async () => {
  name = `"named" ${++tests}`
  await app.pool.query('deallocate all')
  app.transcript.clear()
  await app.observer.query(`insert into note (text) values ('a')`)
})

async function prepared(): Promise<string[]> {
  const { rows } = await app.pool.query<{ name: string }>(
    'select name from pg_prepared_statements order by name',
  )
  return rows.map((row) => row.name)
}

function inside(speaker: Speaker | undefined, fn: () => Promise<unknown>): Promise<unknown> {
  return speaker === undefined ? fn() : speaker.block(app, fn)
}

const places: readonly [string, Speaker | undefined][] = [
  ['outside a transaction', undefined],
  ...speakers.map((speaker): [string, Speaker] => [`in a transaction of ${speaker.name}`, speaker]),
]

describe.each(places)('one name in two layers, %s,', (_, speaker) => {
  test('becomes two names on the server, whichever layer is first', async () => {
    const byPg = { name, text: 'select 1 as one' }
    await inside(speaker, async () => {
      await app.pool.query(byPg)
      expect(await ways.drizzle(name)).toMatchObject([{ text: 'a' }])
      expect((await app.pool.query(byPg)).rows).toEqual([{ one: 1 }])
      expect(await ways.drizzle(name)).toMatchObject([{ text: 'a' }])
    })
    expect(await prepared()).toEqual([name, expect.stringMatching(/^sc_\d+$/)])
  })

  test('is refused for two texts of one layer, as by pg, and before any SQL', async () => {
    await inside(speaker, async () => {
      await ways.pg(name)
      const failure = await failureOf(app.pool.query({ name, text: 'select 2' }))
      expect(failure.message).toContain('must be unique')
      expect(await ways.pg(name)).toHaveLength(1)
    })
  })
})

describe.each(layers)('a prepared statement of %s whose table has changed', (layer, send) => {
  beforeEach(async () => {
    await send(name)
    await app.observer.query('alter table note alter column text type varchar')
    app.transcript.clear()
    return () => app.observer.query('alter table note alter column text type text')
  })

  test('outside a transaction is forgotten, and sent once more', async () => {
    expect(await send(name)).toMatchObject([{ text: 'a' }])
    expect(await send(name)).toMatchObject([{ text: 'a' }])
    expect(app.transcript.lines()).toEqual(['select', 'deallocate', 'select', 'select'])
    expect(app.pool.totalCount).toBe(1)
  })

  test.each(speakers)(
    'in a transaction of $name fails it, and works in the next',
    async (outer) => {
      const failure = await failureOf(
        outer.block(app, async () => {
          await outer.note(app, 'b')
          await send(name)
        }),
      )
      expect(failure).toMatchObject({ code: '0A000' })
      await outer.block(app, async () => {
        await outer.note(app, 'c')
        expect(await send(name)).toHaveLength(2)
      })
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert b',
        'select',
        'rollback',
        'begin',
        'insert c',
        'deallocate',
        'select',
        'commit',
      ])
      expect(await app.rows()).toEqual(['a', 'c'])
    },
  )

  test('in a savepoint is forgotten after its rollback', async () => {
    await app.orm.transaction(async () => {
      expect(await failureOf(app.db.transaction().execute(() => send(name)))).toMatchObject({
        code: '0A000',
      })
      expect(await send(name)).toHaveLength(1)
    })
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'deallocate',
      'select',
      'commit',
    ])
  })

  test('in an aborted transaction is not touched: the server takes nothing there', async () => {
    const failure = await failureOf(
      app.orm.transaction(async () => {
        await failureOf(send(name))
        expect(await failureOf(send(name))).toMatchObject({ code: '25P02' })
      }),
    )
    expect(failure).toMatchObject({ name: 'TransactionAbortedError', cause: { code: '0A000' } })
    expect(app.transcript.lines()).toEqual(['begin', 'select', 'select', 'commit'])
    expect(await send(name)).toHaveLength(1)
  })
})

describe.each(layers)('a prepared statement of %s that the server has forgotten', (_, send) => {
  beforeEach(async () => {
    await send(name)
    app.transcript.clear()
  })

  test.each([
    ['discard all', 'pool'],
    ['DISCARD ALL;', 'pool'],
    ['deallocate all', 'pool'],
    ['deallocate prepare all', 'drizzle'],
    ['/* all */ deallocate all -- of them', 'drizzle'],
  ])('by %j through the bridge is prepared again', async (text, way) => {
    await (way === 'pool' ? app.pool.query(text) : app.orm.execute(sql.raw(text)))
    await app.orm.transaction(async () => expect(await send(name)).toHaveLength(1))
    expect(app.transcript.lines().slice(1)).toEqual(['begin', 'select', 'commit'])
  })

  test('by its name is prepared again', async () => {
    const [only] = await prepared()
    await app.pool.query(`deallocate "${only?.replaceAll('"', '""')}"`)
    await app.orm.transaction(async () => expect(await send(name)).toHaveLength(1))
    expect(await prepared()).toEqual([only])
  })

  test('behind the back of the bridge is sent once more', async () => {
    await app.shared.withClient((client) => client.query('discard all'))
    app.transcript.clear()
    expect(await send(name)).toHaveLength(1)
    expect(app.transcript.lines()).toEqual(['select', 'select'])
  })

  test('behind the back of the bridge fails a transaction, and works in the next', async () => {
    await app.shared.withClient((client) => client.query('discard all'))
    expect(await failureOf(app.orm.transaction(() => send(name)))).toMatchObject({ code: '26000' })
    await app.orm.transaction(async () => expect(await send(name)).toHaveLength(1))
  })
})

/** Sends a query object of pg, and collects all answers of its callback. */
async function submit(query: { name: string; text: string }): Promise<unknown[]> {
  const told: unknown[] = []
  const client = await app.pool.connect()
  await new Promise<void>((resolve) => {
    const tell = (error: Error | null, result: QueryResult): void => {
      told.push(error ?? result.rows)
      resolve()
    }
    client.query(new Query(query, undefined as never, tell as never))
  })
  client.release()
  // behind whatever may follow
  await app.pool.query('select')
  return told
}

describe.each(places)('a query object with a name, %s,', (_, speaker) => {
  test('that another layer uses is prepared under another name', async () => {
    await inside(speaker, async () => {
      await ways.drizzle(name)
      expect(await submit({ name, text: 'select 1 as one' })).toEqual([[{ one: 1 }]])
    })
    expect(await prepared()).toEqual([name, expect.stringMatching(/^sc_\d+$/)])
  })
})

test('a query object whose table has changed fails once, and works the next time', async () => {
  const query = { name, text: `insert into note (text) values ('q') returning *` }
  await submit({ ...query })
  await app.observer.query('delete from note')
  await app.observer.query('alter table note alter column text type varchar')
  expect(await submit({ ...query })).toMatchObject([{ code: '0A000' }])
  expect(await app.rows()).toEqual([])
  expect(await submit({ ...query })).toMatchObject([[{ text: 'q' }]])
  expect(await app.rows()).toEqual(['q'])
  await app.observer.query('alter table note alter column text type text')
})
