import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

const app = useApp()

async function seed(count: number): Promise<void> {
  await app.observer.query(
    `insert into note (text) select 'n' || i from generate_series(1, ${count}) i`,
  )
  app.transcript.clear()
}

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const row of rows) found.push(row)
  return found
}

test('inside a transaction either layer can query between two pages of a stream', async () => {
  await seed(5)
  const seen: string[] = []
  await app.orm.transaction(async () => {
    for await (const { text } of app.db.selectFrom('note').select('text').orderBy('id').stream(2)) {
      seen.push(text)
      if (seen.length === 3) await app.db.insertInto('note').values({ text: 'between' }).execute()
    }
  })
  expect(seen).toEqual(['n1', 'n2', 'n3', 'n4', 'n5'])
  expect(await app.rows()).toEqual(['n1', 'n2', 'n3', 'n4', 'n5', 'between'])
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'insert between', 'commit'])
})

test('a stream that is left early closes its portal', async () => {
  await seed(10)
  const open = await app.db.transaction().execute(async (trx) => {
    for await (const _ of trx.selectFrom('note').select('text').stream(2)) break
    const { rows } = await app.pool.query('select name from pg_cursors')
    return rows
  })
  expect(open).toEqual([])
})

test('data-modifying statements can be streamed, too', async () => {
  await seed(5)
  const gone: string[] = []
  await app.db.transaction().execute(async (trx) => {
    for await (const { text } of trx.deleteFrom('note').returning('text').stream(2)) gone.push(text)
  })
  expect(gone).toHaveLength(5)
  expect(await app.rows()).toEqual([])
})

test('a stream ends with the savepoint that it was opened in', async () => {
  await seed(5)
  await app.db.transaction().execute(async (trx) => {
    let stream: AsyncIterator<{ text: string }> | undefined
    await expect(
      trx.transaction().execute(async (inner) => {
        stream = inner.selectFrom('note').select('text').stream(2)[Symbol.asyncIterator]()
        await stream.next()
        throw new Error('boom')
      }),
    ).rejects.toThrow('boom')
    await stream?.next()
    await expect(stream?.next()).rejects.toMatchObject({ name: 'TransactionClosedError' })
    await trx.insertInto('note').values({ text: 'goes on' }).execute()
  })
  expect(await app.rows()).toContain('goes on')
})

test('a failing stream aborts like any other statement', async () => {
  await seed(3)
  await expect(
    app.orm.transaction(async () => {
      const rows = app.db
        .selectFrom('note')
        .select((eb) => eb.val(1).as('n'))
        .where('id', '=', 'nonsense' as never)
        .stream(1)
      await expect(all(rows)).rejects.toMatchObject({ code: '22P02' })
    }),
  ).rejects.toMatchObject({ name: 'TransactionAbortedError', cause: { code: '22P02' } })
})

test('outside a transaction a stream works as in stock Kysely', async () => {
  await seed(5)
  const rows = await all(app.db.selectFrom('note').select('text').stream(2))
  expect(rows).toHaveLength(5)
  expect(app.transcript.lines()).toEqual(['select'])
})
