import type { PoolClient } from 'pg'
import { expect, test } from 'vitest'
import { note, useRecordedApp } from '../setup/recorded-app.ts'

// A program may send all it has without waiting, as plain pg allows it: the order is the order on the
// wire, and nothing of it may come to the next request.

const { app, sent, clear } = useRecordedApp()

/** Sends all at once. Tells what each was answered with. */
async function sendAll(client: PoolClient, texts: readonly string[]): Promise<string[]> {
  const answers = texts.map((text) =>
    client.query(text).then(
      ({ command }) => command,
      (error: Error & { code?: string }) => error.code ?? error.name,
    ),
  )
  return Promise.all(answers)
}

async function run(texts: readonly string[]): Promise<string[]> {
  await app.pool.query('select 1')
  clear()
  const client = await app.pool.connect()
  const answers = await sendAll(client, texts)
  client.release()
  return answers
}

const write = (text: string) => `insert into note (text) values ('${text}')`

test.each(['commit', 'rollback'])(
  'a savepoint that is rolled back to and released leaves nothing for the next request behind %s',
  async (end) => {
    await run(['begin', write('a'), 'savepoint s', 'rollback to s', 'release s', end])
    clear()
    await app.shared.transaction(() => note(app, 'next'))
    expect(sent()).toEqual(['begin', 'insert', 'commit'])
    expect((await app.rows()).at(-1)).toBe('next')
  },
)

test('a statement behind ROLLBACK TO is answered, where ROLLBACK comes behind it', async () => {
  const texts = ['begin', 'savepoint s', write('a'), 'rollback to s', write('b'), 'rollback']
  expect(await run(texts)).toEqual([
    'BEGIN',
    'SAVEPOINT',
    'INSERT',
    'ROLLBACK',
    'INSERT',
    'ROLLBACK',
  ])
  expect(await app.rows()).toEqual([])
})

test('a savepoint of a controlled transaction leaves nothing behind, either', async () => {
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  const marked = await trx.savepoint('s').execute()
  await marked.insertInto('note').values({ text: 'b' }).execute()
  await Promise.allSettled([
    marked.rollbackToSavepoint('s').execute(),
    marked.releaseSavepoint('s').execute(),
    trx.commit().execute(),
  ])
  clear()
  await app.shared.transaction(() => note(app, 'next'))
  expect(sent()).toEqual(['begin', 'insert', 'commit'])
  expect(await app.rows()).toEqual(['a', 'next'])
})
