import Cursor from 'pg-cursor'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { recorder } from '../setup/recorder.ts'

const wire = recorder()
const app = useApp({ pool: { max: 1, stream: () => wire.stream() } })

test('a stream of Kysely is one event, however many pages it has', async () => {
  await app.pool.query("insert into note (text) select 'n' || n from generate_series(1, 7) n")
  app.transcript.clear()
  wire.clear()
  const seen: string[] = []
  await app.orm.transaction(async () => {
    for await (const { text } of app.db.selectFrom('note').select('text').orderBy('id').stream(2)) {
      seen.push(text)
    }
  })
  expect(seen).toHaveLength(7)
  const sent = app.transcript.events()
  expect(sent.map(({ sql }) => sql)).toEqual(wire.statements())
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'commit'])
  expect(sent[1]).toMatchObject({ layer: 'kysely', error: undefined })
})

test('the event of a stream contains only what the server has answered', async () => {
  await app.pool.query("insert into note (text) select 'n' || n from generate_series(1, 3) n")
  app.transcript.clear()
  await app.db.transaction().execute(async (trx) => {
    for await (const _ of trx.selectFrom('note').select('text').stream(2));
    for await (const _ of trx.deleteFrom('note').returning('text').stream(9));
  })
  const [, paged, whole] = app.transcript.events()
  // The tag comes with the last page, after the event.
  expect(paged).toMatchObject({ command: undefined, rowCount: undefined })
  expect(whole).toMatchObject({ command: 'DELETE', rowCount: 3 })
  expect(app.transcript.lines()).toEqual(['begin', 'select', 'delete', 'commit'])
  expect(await app.rows()).toEqual([])
})

test('a manual cursor is one event, too', async () => {
  const client = await app.pool.connect()
  wire.clear()
  app.transcript.clear()
  try {
    const cursor = client.query(new Cursor('select n from generate_series(1, $1::int) n', [5]))
    expect(await cursor.read(2)).toHaveLength(2)
    expect(await cursor.read(10)).toHaveLength(3)
    await cursor.close()
    await client.query('select 1')
  } finally {
    client.release()
  }
  expect(app.transcript.events().map(({ sql }) => sql)).toEqual(wire.statements())
  expect(app.transcript.lines()).toEqual(['select 5', 'select'])
})
