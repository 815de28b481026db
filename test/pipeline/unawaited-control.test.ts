import type { PoolClient } from 'pg'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { note, useRecordedApp } from '../setup/recorded-app.ts'

// A program may send all its statements without waiting, as plain pg allows: their order is the order
// on the wire, and nothing of them may reach the next request.

const manners = [
  { name: 'deferred', lazy: true },
  { name: 'not deferred', lazy: false },
]

/** Sends all at once, and returns the answers: tags, or the codes of errors. */
async function sendAll(client: PoolClient, texts: readonly string[]): Promise<string[]> {
  const answers = texts.map((text) =>
    client.query(text).then(
      ({ command }) => command,
      (error: Error & { code?: string }) => error.code ?? error.name,
    ),
  )
  return Promise.all(answers)
}

const { app, sent, clear } = useRecordedApp()

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

test('a statement between ROLLBACK TO and ROLLBACK is answered', async () => {
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

test('a savepoint of a controlled transaction leaves nothing for the next request, either', async () => {
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

describe.each(manners)('a manual RELEASE that nobody awaits, $name,', ({ lazy }) => {
  const other = useApp({ pool: { max: 1 }, shared: { lazy } })

  async function answersTo(texts: readonly string[]): Promise<string[]> {
    const client = await other.pool.connect()
    const answers = await sendAll(client, texts)
    client.release()
    return answers
  }

  test('is answered by its own tag', async () => {
    const answers = await answersTo(['begin', write('a'), 'savepoint s', 'release s', 'commit'])
    expect(answers).toEqual(['BEGIN', 'INSERT', 'SAVEPOINT', 'RELEASE', 'COMMIT'])
    expect(await other.rows()).toEqual(['a'])
  })

  test('is not overtaken by the ROLLBACK TO behind it', async () => {
    const texts = ['begin', 'savepoint s', write('a'), 'release s', 'rollback to s', 'rollback']
    const answers = await answersTo(texts)
    // as plain pg: there is no such savepoint any more
    expect(answers).toEqual(['BEGIN', 'SAVEPOINT', 'INSERT', 'RELEASE', '3B001', 'ROLLBACK'])
    expect(other.transcript.lines()).not.toContain('rollback to savepoint "s"')
    expect(await other.rows()).toEqual([])
  })
})

// Statements that nobody awaits leave in the order of their calls: one in front of BEGIN is outside.

describe.each(manners)('BEGIN, $name,', ({ lazy }) => {
  const other = useApp({ pool: { max: 1 }, shared: { lazy } })

  test.each([
    { kind: 'a statement', query: { text: `insert into note (text) values ('a')` } },
    {
      kind: 'a prepared statement',
      query: { name: 'a', text: `insert into note (text) values ('a')` },
    },
  ])(
    'sent manually behind $kind that is in flight, leaves that outside the transaction',
    async ({ query }) => {
      const client = await other.pool.connect()
      const issued = [
        client.query(query),
        client.query('begin'),
        client.query(`insert into note (text) values ('b')`),
      ]
      const fates = await fatesOf(issued)
      await client.query('rollback').catch(() => undefined)
      client.release()
      expect(fates).toEqual(['done', 'done', 'done'])
      expect(other.transcript.lines()).toEqual(['insert', 'begin', 'insert', 'rollback'])
      expect(await other.rows()).toEqual(['a'])
    },
  )
})
