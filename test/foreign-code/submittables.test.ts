import { Query, type QueryResult } from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })

/** Sends a query object of pg, which reports by events. */
async function submit(query: Query): Promise<unknown> {
  const client = await app.pool.connect()
  try {
    return await new Promise((resolve, reject) => {
      query.on('end', resolve)
      query.on('error', reject)
      client.query(query)
    })
  } finally {
    client.release()
  }
}

describe.each(speakers)('in a transaction of $name', (speaker) => {
  test('a query object works in it, with BEGIN in front', async () => {
    await speaker.block(app, async () => {
      await submit(new Query(`insert into note (text) values ('a')`))
      expect(await app.rows()).toEqual([])
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert', 'commit'])
  })

  test('a COMMIT in a query object is refused like any other', async () => {
    const boom = new Error('boom')
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      expect((await failureOf(submit(new Query('commit')))).name).toBe('ControlStatementError')
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })

  test('the error of a query object fails the transaction', async () => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await failureOf(submit(new Query('select 1/0')))
    })
    await expect(failing).rejects.toMatchObject({ name: 'TransactionAbortedError' })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('a statement waits for a cursor that is open, and goes on when that is closed', async () => {
    await speaker.block(app, async () => {
      const client = await app.pool.connect()
      const cursor = client.query(new Cursor('select generate_series(1, 3) as n'))
      expect(await cursor.read(1)).toEqual([{ n: 1 }])
      const waiting = Promise.resolve(speaker.note(app, 'a'))
      await cursor.close()
      await waiting
      client.release()
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'select', 'insert a', 'commit'])
  })
})

test('a callback beside a query object is called', async () => {
  const client = await app.pool.connect()
  try {
    const anyhow = client as unknown as {
      query(query: Query, callback: (error: Error | null, result: QueryResult) => void): void
    }
    const rows = await new Promise((resolve) => {
      anyhow.query(new Query('select 1 as one'), (_, result) => resolve(result.rows))
    })
    expect(rows).toEqual([{ one: 1 }])
  } finally {
    client.release()
  }
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['select'])
})

describe.each([
  { place: 'outside a transaction', run: (fn: () => Promise<unknown>) => fn() },
  { place: 'in a transaction', run: (fn: () => Promise<unknown>) => app.shared.transaction(fn) },
])('a query object with a name, $place,', ({ place, run }) => {
  test('can be sent again after it has failed, and shares its name', async () => {
    const table = place.replaceAll(' ', '_')
    const named = { name: place, text: `select * from ${table}` }
    const send = () => run(() => submit(new Query(named)))
    expect(await failureOf(send())).toMatchObject({ code: '42P01' })
    await app.observer.query(`create table ${table} (x int)`)
    app.transcript.clear()
    await send()
    await send()
    expect((await app.pool.query(named)).rows).toEqual([])
    const other = failureOf(app.pool.query({ name: place, text: 'select 1' }))
    expect((await other).message).toContain('must be unique')
    const { rows } = await app.pool.query('select name from pg_prepared_statements')
    expect(rows.map(({ name }) => name as string).filter((name) => name === place)).toHaveLength(1)
  })
})
